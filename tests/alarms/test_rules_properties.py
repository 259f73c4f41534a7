"""What must hold for the rules on any history of beats, signal and gaps."""

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarms.alarm import AlarmEvent, Phase, Priority, State
from alarms.rules import Rules
from ecg.leads import LEADS

FS, BLOCK = 500, 50
EPOCH = 1_700_000_000_000
STATES = ("good", "good", "good", "noisy", "saturated", "flat", "off", "missing")
PROPERTY = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RATES = {"extreme_brady", "extreme_tachy", "brady", "tachy"}

# Rhythms and pieces are drawn in seconds. Silences, gaps and bad signal last from nothing to long past every delay.
rhythms = st.lists(
    st.tuples(st.floats(0.25, 5.5), st.integers(1, 14)),  # RR in seconds, beats
    min_size=1,
    max_size=8,
)
pieces = st.lists(st.tuples(st.floats(0.0, 60.0), st.floats(0.1, 12.0)), max_size=3)


@st.composite
def states(draw: st.DrawFn) -> list[tuple[float, tuple[str, ...]]]:
    """Leads that change their state a few times; often all of them at once."""
    changes = [(0.0, ("good",) * 12)]
    for at in sorted(draw(st.lists(st.floats(0.0, 60.0), max_size=5))):
        if draw(st.booleans()):
            changes.append((at, (draw(st.sampled_from(STATES)),) * 12))
        else:
            changes.append((at, tuple(draw(st.sampled_from(STATES)) for _ in LEADS)))
    return changes


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a ``History``."""
    beats, now = [], draw(st.floats(0.0, 3.0))
    # On the grid of 0.1 s shows what is decided at the very edge of a tick.
    aligned = draw(st.booleans())
    for rr, count in draw(rhythms):
        for _ in range(count):
            beats.append(round(now, 1) if aligned else now)
            now += rr
    return {
        "seconds": draw(st.floats(5.0, 70.0)),
        "beats": beats,
        "states": draw(states()),
        "unsent": [(start, start + length) for start, length in draw(pieces)],
        "unmeasured": [(start, start + length) for start, length in draw(pieces)],
        "latency": 250 if aligned else draw(st.integers(0, 250)),
    }


cuts = st.lists(st.integers(1, 40), max_size=60)


def run(history: Any, lengths: list[int]) -> tuple[list[AlarmEvent], list[AlarmEvent]]:
    """Events of the history, and those of its finish."""
    rules = Rules("bed-1")
    rules.start(EPOCH)
    events = [event for observation in history.cut(lengths) for event in rules.observe(observation)]
    return events, rules.finish(history.end, 1000.0)


@PROPERTY
@given(given_history=histories(), lengths=cuts)
def test_the_events_do_not_depend_on_how_the_stream_was_cut(
    tell: Any, given_history: dict[str, Any], lengths: list[int]
) -> None:
    """Live spans, replayed spans and offline seconds must yield byte-for-byte the same alarms."""
    history = tell.History(**given_history)
    assert run(history, lengths) == run(history, [10_000])
    assert run(history, [1] * 10_000) == run(history, [10_000])


@PROPERTY
@given(given_history=histories(), lengths=cuts, data=st.data())
def test_a_restored_object_goes_on_as_the_original(
    tell: Any, given_history: dict[str, Any], lengths: list[int], data: st.DataObject
) -> None:
    """A worker that takes over at any checkpoint must send the very events that the first would have sent."""
    history = tell.History(**given_history)
    observations = history.cut(lengths)
    where = data.draw(st.integers(0, len(observations)))
    original = Rules("bed-1")
    original.start(EPOCH)
    for observation in observations[:where]:
        original.observe(observation)
    restored = Rules("bed-1")
    restored.restore(original.snapshot())
    assert restored.active == original.active
    for observation in observations[where:]:
        assert restored.observe(observation) == original.observe(observation)
        assert restored.snapshot() == original.snapshot()
    assert restored.finish(history.end, 5.0) == original.finish(history.end, 5.0)


@PROPERTY
@given(given_history=histories(), lengths=cuts)
def test_the_life_of_every_alarm_is_whole(tell: Any, given_history: dict[str, Any], lengths: list[int]) -> None:
    """One alarm of a kind at a time; nothing ends or changes that did not start; everything ends; no id twice."""
    events, last = run(tell.History(**given_history), lengths)
    active: dict[str, AlarmEvent] = {}
    for event in [*events, *last]:
        if event.phase is Phase.START:
            assert event.kind not in active
            assert event.onset <= event.at
            active[event.kind] = event
        else:
            start = active[event.kind]
            assert (event.id, event.onset, event.limit) == (start.id, start.onset, start.limit)
            assert event.at >= start.at
            if event.phase is Phase.END:
                del active[event.kind]
        assert (event.state is State.INACTIVE) == (event.phase is Phase.END)
        assert (event.bed, event.epoch, event.model) == ("bed-1", EPOCH, "beats-1")
    assert not active
    every = [*events, *last]
    assert len({event.event for event in every}) == len(every)
    starts = [event.id for event in every if event.phase is Phase.START]
    assert len(set(starts)) == len(starts)
    assert [event.at for event in every] == sorted(event.at for event in every)


@PROPERTY
@given(given_history=histories())
def test_a_bed_has_one_rate_alarm_and_an_asystole_has_none_beside_it(tell: Any, given_history: dict[str, Any]) -> None:
    """After every tick: at most one of the four rates, and neither rate nor pause while there is an asystole."""
    rules = Rules("bed-1")
    rules.start(EPOCH)
    for observation in tell.History(**given_history).cut([1] * 10_000):
        rules.observe(observation)
        kinds = {str(event.kind) for event in rules.active}
        assert len(kinds & RATES) <= 1
        assert "asystole" not in kinds or not kinds & (RATES | {"pause"})


@PROPERTY
@given(given_history=histories())
def test_no_rhythm_alarm_starts_or_ends_while_nothing_is_usable(tell: Any, given_history: dict[str, Any]) -> None:
    """What is not seen is neither an arrest nor the end of one."""
    history = tell.History(**given_history)
    for event in history.play():
        if event.priority is Priority.TECHNICAL:
            continue
        block = event.at // BLOCK - 1
        mark = [mark for mark in history.marks if mark.at <= event.at][-1]
        assert history.covered[block]
        assert "good" in mark.states or ("flat" in mark.states and not {"noisy", "saturated"} & set(mark.states))


@PROPERTY
@given(given_history=histories())
def test_every_silence_of_four_seconds_alarms_within_five(tell: Any, given_history: dict[str, Any]) -> None:
    """On good signal without a gap: an asystole for each silence past 4.1 s, at most 5 s after its last beat."""
    history = tell.History(given_history["seconds"], given_history["beats"], latency=given_history["latency"])
    rules = Rules("bed-1")
    rules.start(EPOCH)
    active = {}
    for observation in history.cut([1] * 10_000):
        rules.observe(observation)
        active[observation.end] = {str(event.kind) for event in rules.active}
    judged = [peak for peak in history.peaks.tolist() if peak >= FS]  # the first mark stands at 0.5 s
    silences = [*pairwise(judged)] + ([(judged[-1], history.end)] if judged else [])
    for last, following in silences:
        # Not the silence that the very next beats end before it is known: those are decided up to 0.5 s late as well.
        if following - last > 4.1 * FS + 250 and last + 5 * FS <= history.end:
            assert "asystole" in active[(last + 5 * FS) // BLOCK * BLOCK]


@PROPERTY
@given(
    beats=st.lists(st.floats(0.25, 3.9), min_size=5, max_size=60),
    latency=st.integers(0, 250),
)
def test_no_asystole_without_four_seconds_of_silence(tell: Any, beats: list[float], latency: int) -> None:
    """No RR below 4 s is ever called an asystole, whatever the detector's latency."""
    peaks = np.cumsum([0.6, *beats]).tolist()
    events = tell.History(peaks[-1] + 1.0, peaks, latency=latency).play()
    assert not tell.of_kind(events, "asystole")
