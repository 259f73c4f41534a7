"""``python -m wardbeat``."""

from wardbeat.cli import app

app()
