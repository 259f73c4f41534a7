"""What ``wardbeat analyze`` tells of a recording: alarms with their reasons, in JSON and in a terminal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ecg.leads import LEADS
from ecg.synthetic import SyntheticPatient
from models.finding import NO_MODEL
from models.rhythm_network import RhythmNetwork
from stream.bed import BedConfig
from stream.offline import Analysis, analyze_recording
from tests.wardbeat.typed import analyze, runner, simulate
from wardbeat.analyze import ALARM_COLUMNS, COLUMNS, SHOWN_ALARMS, alarm_rows, clock, percent, record_row
from wardbeat.cli import app

SCRIPT = "sinus(rate=72) 60s, af(rate=115) 90s, sinus(rate=75) 60s, sinus+leads_off(all) 15s"


@pytest.fixture(scope="module")
def network() -> RhythmNetwork:
    """As it is shipped."""
    return RhythmNetwork.load()


@pytest.fixture(scope="module")
def paroxysm(network: RhythmNetwork) -> Analysis:
    """A patient goes into AF and out of it; then all leads come off."""
    return analyze_recording(SyntheticPatient(SCRIPT, 11).recording("paf"), BedConfig(waves=False, network=network))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a WFDB record."""
    return simulate(SCRIPT, tmp_path_factory.mktemp("records") / "paf", 11)


def test_each_finding_and_alarm_names_what_judged_it(paroxysm: Analysis, network: RhythmNetwork) -> None:
    """Protects from a record of which the last window decides the model: at its end, leads off, no network judged."""
    line = json.loads(paroxysm.as_json())
    assert line["model"] == network.name
    models = [finding["model"] for finding in line["findings"]]
    assert (models[0], models[-1]) == (network.name, NO_MODEL)
    assert all(
        (model == NO_MODEL) is (finding["probabilities"] == {})
        for model, finding in zip(models, line["findings"], strict=True)
    )
    assert {alarm["model"] for alarm in line["alarms"] if alarm["kind"] == "af"} == {network.name}
    assert {alarm["model"] for alarm in line["alarms"] if alarm["kind"] == "leads_off"} == {NO_MODEL}


def test_without_a_network_the_rules_are_named() -> None:
    """Protects a replay by rules alone from the name of a network that had no part in it."""
    plain = analyze_recording(SyntheticPatient("sinus 20s", 2).recording("r"), BedConfig(waves=False))
    assert json.loads(plain.as_json())["model"] == NO_MODEL


def test_findings_carry_their_evidence_and_their_reason(paroxysm: Analysis) -> None:
    """Protects who asks why an alarm came late: each window's reason, and AF, flutter and noise second by second."""
    findings = json.loads(paroxysm.as_json())["findings"]
    for told, finding in zip(findings, paroxysm.findings, strict=True):
        assert told["reason"] == finding.reason
        for name in ("af_evidence", "flutter_evidence", "noise_evidence"):
            assert tuple(told[name]) == getattr(finding, name)
    in_af = next(finding for finding in findings if finding["end_s"] == 100)
    assert "irregular RR" in in_af["reason"]
    assert [len(in_af[name]) for name in ("af_evidence", "flutter_evidence", "noise_evidence")] == [10, 10, 10]


def test_the_same_alarms_come_every_time_with_the_reason_for_each(record: Path) -> None:
    """Protects a replay: twice the same bytes, and each AF alarm with reason, prediction set, looks and, at its end,
    the offset.
    """
    first, again = analyze(str(record)), analyze(str(record))
    assert first == again
    of_af = [alarm for alarm in first[0]["alarms"] if alarm["kind"] == "af"]
    by_phase = {alarm["phase"]: alarm for alarm in of_af}
    assert {"start", "escalate", "end"} <= set(by_phase)
    for phase in ("start", "escalate"):
        alarm = by_phase[phase]
        assert "irregular RR" in alarm["reason"]
        assert "af" in alarm["prediction_set"]
        assert alarm["offset_s"] is None
        assert set(alarm["saliency"]) == set(LEADS)
        assert set(alarm["attention_by_second"]) == set(alarm["attention"])
        assert {len(seconds) for seconds in alarm["attention_by_second"].values()} == {10}
    assert by_phase["end"]["offset_s"] == pytest.approx(150, abs=5)


def test_beats_alone_give_reasons_too(record: Path) -> None:
    """Protects ``--beats``: the alarm has its reason and its attention, and no lead is shown that was not read."""
    (line,) = analyze(str(record), "--beats", "atr")
    start = next(alarm for alarm in line["alarms"] if (alarm["kind"], alarm["phase"]) == ("af", "start"))
    assert start["reason"] == "irregular RR"
    assert start["saliency"] == {}
    assert start["attention"]["rr_10s"] > 0


def test_the_row_of_a_record_tells_its_burden(paroxysm: Analysis) -> None:
    """Protects the reader of the table: AF as a share of what was analysed, the longest of it, and the episodes."""
    row = dict(zip(COLUMNS, record_row(paroxysm), strict=True))
    assert row["leads"] == "12"
    assert row["length"] == "0:03:45"
    assert paroxysm.burden is not None
    assert paroxysm.burden.share is not None
    assert row["AF of\nanalysed"] == f"{100 * paroxysm.burden.share:.0f} %"
    assert row["longest\nAF"] in ("0:01:29", "0:01:30", "0:01:31", "0:01:32")
    assert row["episodes"] == "1 AF"
    assert row["alarms"] == str(len({event.id for event in paroxysm.alarms}))


def test_without_a_network_no_burden_is_made_up() -> None:
    """Protects from reading "0 %" where nobody looked for AF."""
    patient = SyntheticPatient("af 30s", 2).recording("r")
    row = dict(zip(COLUMNS, record_row(analyze_recording(patient, BedConfig(waves=False))), strict=True))
    assert (row["AF of\nanalysed"], row["longest\nAF"], row["episodes"]) == ("-", "-", "-")


def test_an_alarm_has_one_row_with_its_reason(paroxysm: Analysis) -> None:
    """Protects the table from one row for every event: an alarm is told once, as it was when it was surest."""
    rows = [dict(zip(ALARM_COLUMNS, row, strict=True)) for row in alarm_rows(paroxysm)]
    assert len(rows) == len({event.id for event in paroxysm.alarms})
    (row,) = (row for row in rows if row["alarm"].startswith("AF"))
    assert "?" not in row["alarm"]
    assert "irregular RR" in row["reason"]
    assert "af" in row["possible"]
    assert row["record"] == "paf"
    onset, told, end = (
        sum(int(part) * unit for part, unit in zip(row[name].split(":"), (3600, 60, 1), strict=True))
        for name in ("onset", "told", "end")
    )
    assert onset == pytest.approx(60, abs=3)
    assert onset < told <= 80
    assert end == pytest.approx(150, abs=5)
    off = next(row for row in rows if "LEADS OFF" in row["alarm"].upper())
    assert (off["end"], off["reason"], off["possible"]) == ("0:03:45", "", "")  # where the record ends


def test_of_many_alarms_those_of_af_are_not_lost(paroxysm: Analysis) -> None:
    """Protects AF from going under in a day of rate alarms: it stays, in its place, and the rest is counted."""
    rate = next(event for event in paroxysm.alarms if event.kind not in ("af", "flutter"))
    others = [
        type(rate)(**{name: getattr(rate, name) for name in rate.__struct_fields__} | {"id": str(i)}) for i in range(20)
    ]
    of_af = [event for event in paroxysm.alarms if event.kind == "af"]
    rows = list(alarm_rows(replace(paroxysm, alarms=[*others, *of_af])))
    assert len(rows) == SHOWN_ALARMS + 1
    assert rows[-2][4].startswith("AF")
    assert rows[-1][4] == f"{21 - SHOWN_ALARMS} more"


def test_the_tables_fit_a_terminal_of_80_characters(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the reader of a plain terminal: no time and no number is cut or broken, and the reason is there."""
    monkeypatch.setenv("COLUMNS", "80")
    result = runner.invoke(app, ["analyze", str(record)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in result.stdout
    row = next(line for line in lines if line.startswith("paf "))
    assert row.split()[1] == "0:03:45"
    assert " 1 AF " in row
    af = next(at for at, line in enumerate(lines) if " AF HR " in line)
    assert "irregular RR" in lines[af]
    assert "repeating P wave" in " ".join(lines[af : af + 3])


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (0.0004, "<1 %"), (0.374, "37 %"), (0.9999, ">99 %"), (1, "100 %")]
)
def test_little_af_is_not_none_and_nearly_all_is_not_all(share: float, said: str) -> None:
    """Protects a short paroxysm from being rounded away."""
    assert percent(share) == said


def test_times_are_those_of_a_clock() -> None:
    """Protects whoever looks a time up in the record: hours do not wrap after a day."""
    assert [clock(seconds) for seconds in (0, 59.99, 3600, 90_061)] == ["0:00:00", "0:00:59", "1:00:00", "25:01:01"]
