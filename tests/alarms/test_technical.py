"""Leads off, signal poor, no data: each has its cause, and none is told twice."""

from typing import Any

import numpy as np
import pytest

from alarms.alarm import Phase, Priority, State
from alarms.observation import Observation
from alarms.rules import Rules

FS = 500


def test_a_lead_that_comes_off_is_named(tell: Any) -> None:
    """A mark tells it within 2 s of the electrode; the alarm may take 0.5 s more, and ends when it is back."""
    states = ((0.0, tell.leads()), (10.0, tell.leads(V1="off", V2="off")), (30.0, tell.leads()))
    start, end = tell.History(60, tell.steady(0.3, 60, 80), states).play()
    assert (start.kind, start.phase, start.text) == ("leads_off", Phase.START, "LEADS OFF V1, V2")
    assert (start.priority, start.state) == (Priority.TECHNICAL, State.ACTIVE)
    assert start.onset / FS == 10.5
    assert start.at / FS <= 11.0
    assert (end.phase, end.state, end.at / FS) == (Phase.END, State.INACTIVE, 31.0)


def test_a_change_of_the_leads_is_an_update(tell: Any) -> None:
    """The alarm stays one alarm while electrodes come and go, and its text follows."""
    states = (
        (0.0, tell.leads()),
        (10.0, tell.leads(V1="off")),
        (20.0, tell.leads(V1="off", V6="off")),
        (30.0, tell.leads("off")),
        (40.0, tell.leads()),
    )
    events = tell.of_kind(tell.History(50, tell.steady(0.3, 50, 80), states).play(), "leads_off")
    assert [event.text for event in events] == ["LEADS OFF V1", "LEADS OFF V1, V6", "ALL LEADS OFF", "ALL LEADS OFF"]
    assert [str(event.phase) for event in events] == ["start", "update", "update", "end"]
    assert len({event.id for event in events}) == 1


def test_one_mark_is_not_enough(tell: Any) -> None:
    """A lead that is off at a single mark is an electrode that was touched."""
    states = ((0.0, tell.leads()), (10.0, tell.leads(II="off")), (10.5, tell.leads()))
    assert tell.History(20, tell.steady(0.3, 20, 80), states).play() == []


def test_leads_that_were_never_there_are_not_off(tell: Any) -> None:
    """A telemetry pack with three leads has nine missing ones, and that is no alarm."""
    states = ((0.0, tell.leads("missing", I="good", II="good", V1="good")),)
    assert tell.History(30, tell.steady(0.3, 30, 80), states).play() == []


def test_a_lead_that_stays_flat_beside_beats_is_off(tell: Any) -> None:
    """An unplugged input that the monitor calls measured: the beats of the others prove that it shows nothing."""
    states = ((0.0, tell.leads()), (10.0, tell.leads(V3="flat")))
    (start,) = tell.History(30, tell.steady(0.3, 30, 80), states).play()
    assert start.text == "LEADS OFF V3"
    assert start.at / FS <= 13.0


def test_a_dead_lead_is_no_witness_of_an_asystole(tell: Any) -> None:
    """V3 was flat all along: when the others are lost, its flat line proves nothing."""
    states = (
        (0.0, tell.leads(V3="flat")),
        (20.0, tell.leads("noisy", V3="flat")),
        (30.0, tell.leads("off", V3="flat")),
    )
    events = tell.History(60, tell.steady(0.3, 20, 80), states).play()
    assert not tell.of_kind(events, "asystole")
    assert tell.of_kind(events, "signal_poor")


def test_a_flat_lead_beside_noise_is_no_witness_either(tell: Any) -> None:
    """A beat may hide in the noise, and whether the flat lead would have shown it nobody knows."""
    states = ((0.0, tell.leads()), (20.0, tell.leads("noisy", V3="flat")))
    events = tell.History(40, tell.steady(0.3, 20, 80), states).play()
    assert {event.kind for event in events} == {"signal_poor"}


def test_poor_signal_is_told_after_five_seconds(tell: Any) -> None:
    """Turning over in bed is no alarm; noise that lasts is, from when it began, and leads are not called off for it."""
    for seconds, expected in ((4.0, []), (20.0, ["start", "end"])):
        states = ((0.0, tell.leads()), (10.0, tell.leads("noisy", V1="saturated")), (10.0 + seconds, tell.leads()))
        events = tell.History(60, tell.steady(0.3, 60, 80), states).play()
        assert [str(event.phase) for event in events] == expected
        for event in events:
            assert (event.kind, event.text) == ("signal_poor", "SIGNAL POOR")
        if events:
            assert events[0].onset / FS == pytest.approx(10.0, abs=0.6)
            assert events[0].at / FS == pytest.approx(15.5, abs=0.2)
            assert events[1].at / FS == pytest.approx(32.4, abs=0.2)


def test_one_good_lead_is_enough(tell: Any) -> None:
    """Eleven noisy leads beside a good one are judged by it."""
    states = ((0.0, tell.leads("noisy", II="good")),)
    assert tell.History(30, tell.steady(0.3, 30, 80), states).play() == []


def test_no_data_is_told_after_three_seconds(tell: Any) -> None:
    """A gap in the chunks, whatever the quality marks make of it: onset at its first sample, no leads off."""
    states = ((0.0, tell.leads()), (12.0, tell.leads("off")), (30.5, tell.leads()))
    history = tell.History(60, tell.steady(0.3, 60, 80), states, unsent=[(10.0, 30.0)])
    start, end = history.play()
    assert (start.kind, start.text) == ("no_data", "NO DATA")
    assert (start.onset / FS, start.at / FS) == (10.0, 13.0)
    assert (end.phase, end.at / FS) == (Phase.END, 31.0)


def test_a_short_gap_is_no_event(tell: Any) -> None:
    """Two seconds of lost chunks are neither no data, nor leads off when they come again, nor an asystole."""
    states = ((0.0, tell.leads()), (11.5, tell.leads("off")), (13.0, tell.leads()))
    assert tell.History(40, tell.steady(0.3, 40, 80), states, unsent=[(10.0, 12.0)]).play() == []


def test_electrodes_off_are_not_no_data(tell: Any) -> None:
    """Chunks come and say that nothing was measured: the monitor is there, the electrodes are not."""
    states = ((0.0, tell.leads()), (11.5, tell.leads("off")))
    (start,) = tell.History(40, tell.steady(0.3, 10, 80), states, unmeasured=[(10.0, 40.0)]).play()
    assert (start.kind, start.text) == ("leads_off", "ALL LEADS OFF")
    assert start.at / FS <= 13.0


def test_a_stretch_that_is_left_out_was_not_received(tell: Any) -> None:
    """An assembler that jumps over a gap and one that hands it on as masked blocks lead to the same alarms."""
    history = tell.History(60, tell.steady(0.3, 60, 80), unsent=[(10.0, 30.0)])
    history.marks = [mark for mark in history.marks if not 10.0 < mark.at / FS <= 30.0]
    keep = (history.at < 10 * FS) | (history.at >= 30 * FS)
    history.peaks, history.at = history.peaks[keep], history.at[keep]
    rules = Rules("bed-1")
    rules.start(1_700_000_000_000)
    jumped = [
        event
        for observation in history.cut()
        if not 10 * FS <= observation.first < 30 * FS
        for event in rules.observe(observation)
    ]
    assert tell.brief(jumped) == tell.brief(history.play())
    assert tell.brief(jumped)[0] == ("no_data", "start", 13.0)


def test_what_makes_no_sense_is_refused_with_its_value(tell: Any) -> None:
    """The rules are pure: a caller that feeds them wrongly must hear of it, not a nurse."""
    rules = Rules("bed-1")
    empty = np.array([], dtype=np.int64)
    two = np.ones(2, dtype=bool)
    with pytest.raises(ValueError, match="before an epoch was started"):
        rules.observe(Observation(0, 100, empty, empty, [], two))
    rules.start(5)
    rules.observe(Observation(100, 200, empty, empty, [], two))
    with pytest.raises(ValueError, match="first: expected 200 or later, got 100"):
        rules.observe(Observation(100, 200, empty, empty, [], two))
    with pytest.raises(ValueError, match="got 210, 310"):
        rules.observe(Observation(210, 310, empty, empty, [], two))
    with pytest.raises(ValueError, match="covered: expected 4 blocks, got 2"):
        rules.observe(Observation(200, 400, empty, empty, [], two))
    with pytest.raises(ValueError, match=r"beat_at: expected 200 to 300, got \[900\]"):
        rules.observe(Observation(200, 300, np.array([700]), np.array([900]), [], two))
    history = tell.History(1, states=((0.0, tell.leads("fine")),))
    with pytest.raises(ValueError, match="got 'fine'"):
        history.play()


def test_finish_ends_everything_and_start_refuses_to_forget(tell: Any) -> None:
    """No alarm may outlive its epoch, and none may vanish without an end."""
    history = tell.History(40, tell.steady(0.3, 15, 80), ((0.0, tell.leads(V1="off")),))
    rules = Rules("bed-1", model="m")
    rules.start(1000)
    for observation in history.cut():
        rules.observe(observation)
    assert {event.kind for event in rules.active} == {"asystole", "leads_off"}
    with pytest.raises(ValueError, match="2000 cannot start, 1000 has"):
        rules.start(2000)
    ended = rules.finish(history.end, 77.0)
    assert {(event.kind, event.phase, event.state) for event in ended} == {
        ("asystole", Phase.END, State.INACTIVE),
        ("leads_off", Phase.END, State.INACTIVE),
    }
    assert {(event.at, event.sent_at, event.model) for event in ended} == {(history.end, 77.0, "m")}
    assert rules.active == ()
    rules.start(2000)
    assert rules.epoch == 2000
