"""The command line, as a person types it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecg.readers import read_recording
from ecg.readers.wfdb_records import read_lead_offs
from tests.wardbeat.typed import analyze, runner, simulate
from wardbeat.cli import app
from wardbeat.settings import SettingsError, load_settings

SCRIPT = "sinus(rate=70) 12s, asystole 8s, sinus(rate=70)+leads_off(V1) 8s, sinus 6s"
LINE = {"record", "fs", "leads", "seconds", "model", "beats", "findings", "episodes", "burden", "alarms"}
FINDING = {
    "end_s", "hr_bpm", "usable", "quality", "probabilities", "prediction_set", "af_evidence", "flutter_evidence",
    "noise_evidence", "reason", "model",
}  # fmt: skip
ALARM = {
    "id", "kind", "priority", "phase", "at_s", "onset_s", "offset_s", "text", "reason", "prediction_set", "model",
    "saliency", "attention", "attention_by_second",
}  # fmt: skip


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic patient as a WFDB record, written by the command itself."""
    return simulate(SCRIPT, tmp_path_factory.mktemp("records") / "patient", 9)


def test_simulate_writes_the_truth_beside_the_record(record: Path) -> None:
    """Protects whoever measures on synthetic records: beats, rhythms and lead-offs stand in the annotations."""
    recording = read_recording(record)
    assert recording.seconds == 34
    assert recording.beats is not None
    assert len(recording.beats) > 20
    assert [rhythm.name for rhythm in recording.rhythms] == ["(N", "(ASYS", "(N"]
    assert read_lead_offs(record) == (("V1", 10_000, 14_000),)


def test_an_analysis_is_one_json_line_with_every_field(record: Path) -> None:
    """Protects programs that read the lines: fields, units and the record's own rate for beats."""
    (line,) = analyze(str(record))
    assert set(line) == LINE
    assert line["fs"] == 500
    findings, alarms = line["findings"], line["alarms"]
    assert isinstance(findings, list)
    assert isinstance(alarms, list)
    assert [finding["end_s"] for finding in findings] == [float(second) for second in range(10, 35)]
    assert all(set(finding) == FINDING for finding in findings)
    assert all(set(alarm) == ALARM for alarm in alarms)
    asystole = next(alarm for alarm in alarms if alarm["kind"] == "asystole")
    truth = read_recording(record).beats
    assert truth is not None
    last = truth[truth < 6000][-1] / 500
    assert asystole["priority"] == "high"
    assert last < asystole["at_s"] <= last + 5
    off = next(alarm for alarm in alarms if alarm["kind"] == "leads_off")
    assert 20 < off["at_s"] <= 23
    assert "V1" in off["text"]


def test_beats_from_an_annotation_need_no_waveform(record: Path, tmp_path: Path) -> None:
    """Protects `--beats`: header and annotation alone are enough, and give the beats that stand there."""
    for suffix in (".hea", ".atr"):
        (tmp_path / f"patient{suffix}").write_bytes(record.with_suffix(suffix).read_bytes())
    (line,) = analyze(str(tmp_path / "patient"), "--beats", "atr")
    truth = read_recording(record).beats
    assert truth is not None
    np.testing.assert_array_equal(line["beats"], truth)
    assert "asystole" in {alarm["kind"] for alarm in line["alarms"]}


def test_a_folder_of_beats_is_found_without_waveforms(record: Path, tmp_path: Path) -> None:
    """Protects `analyze FOLDER --beats EXT` on databases that publish annotations alone."""
    for name in ("a", "b"):
        header = record.with_suffix(".hea").read_text().replace("patient", name)
        (tmp_path / f"{name}.hea").write_text(header)
        (tmp_path / f"{name}.atr").write_bytes(record.with_suffix(".atr").read_bytes())
    assert len(analyze(str(tmp_path), "--beats", "atr", "--jobs", "2")) == 2


def test_a_record_that_cannot_be_read_does_not_stop_the_others(record: Path, tmp_path: Path) -> None:
    """Protects a long run from one bad file: it gets its own line with the reason, and the exit code tells."""
    bad = tmp_path / "bad.csv"
    bad.write_text("no,ecg\n1,2\n")
    result = runner.invoke(app, ["analyze", str(bad), str(record), "--json"])
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert "bad.csv" in lines[0]["error"]
    assert lines[1]["fs"] == 500


def test_limits_can_be_set_for_an_analysis(record: Path) -> None:
    """Protects `--hr-high`: the limit that was given is the one that the text names."""
    (line,) = analyze(str(record), "--hr-high", "60", "--hr-low", "40")
    assert any("> 60" in alarm["text"] for alarm in line["alarms"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WARDBEAT_HOP_S", "0.3"),
        ("WARDBEAT_ENGINE", "rabbit"),
        ("WARDBEAT_HR_LOW", "400"),
        ("WARDBEAT_PORT", "99999"),
        ("WARDBEAT_SESSION_TIMEOUT_S", "soon"),
        ("WARDBEAT_AF_CONFIRM_S", "90.0"),
        ("WARDBEAT_REPLICATION", "[three]"),  # no markup of the terminal
    ],
)
def test_a_wrong_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Protects the engineer from a ward that starts with a setting nobody meant: name and value are quoted."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert name.removeprefix("WARDBEAT_").lower() in str(caught.value)
    assert value in str(caught.value)
    result = runner.invoke(app, ["analyze", "nothing"])
    assert result.exit_code == 2
    assert value in result.output


def test_a_wrong_script_is_refused_with_the_word() -> None:
    """Protects from a patient that is not the one asked for."""
    result = runner.invoke(app, ["simulate", "--script", "sinus 10s, tango 5s", "--out", "x"])
    assert result.exit_code == 1
    assert "tango" in result.output


def test_a_replay_from_beyond_the_end_is_refused(record: Path) -> None:
    """It would feed nothing, and whoever waits for the bed would not know why."""
    result = runner.invoke(app, ["replay", str(record), "--from", "99"])
    assert result.exit_code == 1
    assert "nothing of it is after second 99" in " ".join(result.output.split())


def test_the_worker_imports_no_heavy_library() -> None:
    """Protects the worker's start and the image's size: no torch, sktime, neurokit2, scipy or wfdb."""
    code = (
        "import sys; import stream.embedded.engine, stream.kafka.engine, wardbeat.services;"
        "print([m for m in ('torch', 'sktime', 'neurokit2', 'scipy.signal', 'wfdb', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
