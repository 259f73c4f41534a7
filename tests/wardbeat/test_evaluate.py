"""``wardbeat evaluate``, as a person types it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.evaluation.databases import always_af, write_databases
from wardbeat.cli import app
from wardbeat.evaluation.report import from_json

runner = CliRunner()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny databases, and the weights of a network that says AF of everything, in ``af.safetensors``."""
    folder = write_databases(tmp_path_factory.mktemp("data"))
    always_af(folder / "af.safetensors")
    return folder


def evaluate(data: Path, *arguments: str) -> tuple[int, str]:
    result = runner.invoke(app, ["evaluate", *arguments, "--data", str(data), "--jobs", "1"])
    return result.exit_code, result.output


def test_the_report_is_written_as_json_and_markdown(data: Path, tmp_path: Path) -> None:
    """Protects both files: they hold the same model, databases and counts, and what a program reads comes back."""
    files = tmp_path / "r.json", tmp_path / "r.md"
    weights = str(data / "af.safetensors")
    asked = ["ptbxl_native500", "--weights", weights, "--leads", "I", "--json", str(files[0]), "--markdown"]
    code, output = evaluate(data, *asked, str(files[1]))
    assert code == 0, output
    report = from_json(files[0].read_bytes())
    assert report.model.startswith("rhythm-2-")
    assert [(row.group, row.n, row.positives) for row in report.windows[0].rows] == [("12 leads", 4, 2), ("I", 4, 2)]
    markdown = files[1].read_text(encoding="utf-8")
    assert report.model in markdown
    assert "| ptbxl_native500 | 12 leads | 4 | 2 | 3 | 2 |" in markdown


def test_two_processes_find_what_one_finds(data: Path) -> None:
    """Protects `--jobs`: the report on standard output is the same, byte by byte."""
    asked = ["nsrdb_rr", "--weights", str(data / "af.safetensors"), "--data", str(data), "--jobs"]
    one, two = (runner.invoke(app, ["evaluate", *asked, jobs]) for jobs in ("1", "2"))
    assert one.exit_code == two.exit_code == 0, two.output
    assert one.stdout == two.stdout
    assert "False AF alarms" in one.stdout


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["mitbih"], "mitbih"),
        (["mitdb"], "mitdb"),
        (["nsrdb_rr", "--left-out"], "no network that never saw nsrdb_rr"),
        (["all", "mitdb"], "all"),
        (["nsrdb_rr", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["nsrdb_rr", "--leads", "V9"], "V9"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], quoted: str
) -> None:
    """Protects from figures of something else than was asked for: the wrong word is quoted, and nothing is judged."""
    monkeypatch.setenv("WARDBEAT_WEIGHTS", str(tmp_path))
    code, output = evaluate(data, *arguments)
    assert code == 1
    assert quoted in output.replace("\n", "")
    assert "##" not in output
