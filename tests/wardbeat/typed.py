"""The commands that tests of several files type."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from wardbeat.cli import app

runner = CliRunner()


def simulate(script: str, path: Path, seed: int) -> Path:
    """The synthetic patient as a WFDB record at ``path``."""
    result = runner.invoke(app, ["simulate", "--script", script, "--out", str(path), "--seed", str(seed)])
    assert result.exit_code == 0, result.output
    return path


def analyze(*arguments: str) -> list[dict[str, Any]]:
    """The JSON lines of ``wardbeat analyze``."""
    result = runner.invoke(app, ["analyze", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]
