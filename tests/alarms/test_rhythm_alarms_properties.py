"""What must hold for the alarms of AF and flutter on any evidence."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alarms.alarm import AlarmEvent, Kind, Phase, State
from alarms.evidence import BIN
from alarms.rhythm_alarms import RhythmAlarms
from models.finding import Finding
from tests.alarms.findings import BED, EPOCH, FS, beats_of, finding, known, play, rhythm, stream

PROPERTY = settings(max_examples=40, deadline=None)
BEATS = beats_of(700, rhythm((60, 150), (200, 330), (400, 600)), seed=3)
REPLAY = """
import sys
import msgspec
from alarms.rhythm_alarms import RhythmAlarms
from tests.alarms.findings import BED, beats_of, play, rhythm, stream

both = ("af", "flutter", "noise")
alarms, af = RhythmAlarms(BED), rhythm((60, 150), (400, 600))
sets = lambda end: both[: 1 + int(end) // 45 % 3]
windows = stream(700, af, rhythm((200, 330)), rhythm((100, 110)), prediction_set=sets)
events = play(alarms, windows, beats_of(700, af, seed=3))
sys.stdout.buffer.write(msgspec.json.encode((events, alarms.episodes)) + alarms.snapshot())
"""
LEVELS = (0.0, 0.0, 0.2, 0.45, 0.75, 1.0, 1.0)


@st.composite
def findings(draw: st.DrawFn) -> list[Finding]:
    """Windows in which AF, flutter and noise come and go, at any hop, with windows that are unusable or missing.

    Noise may also be what one window hears in its last seconds, and the next one does not, or the other way round.
    """
    hop = draw(st.sampled_from([0.5, 1.0, 1.0, 2.3, 5.0]))
    pieces = draw(st.lists(st.tuples(st.integers(3, 80), *[st.sampled_from(LEVELS)] * 3), min_size=2, max_size=8))
    seconds = [piece[1:] for piece in pieces for _ in range(piece[0])]
    jitter = draw(st.sampled_from([0.0, 0.0, 0.1]))
    lost = draw(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([3, 20, 70, 200])), max_size=2))
    unusable = draw(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([1, 8, 30, 90])), max_size=2))
    tails = draw(st.lists(st.integers(0, 3), min_size=1, max_size=7))
    windows, end = [], 10.0
    while end <= len(seconds):
        if not any(first <= end < first + length for first, length in lost):
            inside = [seconds[int(end) - 10 + second] for second in range(10)]
            shake = jitter if int(end) % 2 else -jitter
            af, flutter, noise = (
                tuple(min(1.0, max(0.0, level + shake)) for level in series) for series in zip(*inside, strict=True)
            )
            tail = tails[len(windows) % len(tails)]
            noise = noise[: 10 - tail] + (1.0,) * tail
            windows.append(
                finding(
                    end,
                    usable=not any(first <= end < first + length for first, length in unusable),
                    af_evidence=af,
                    flutter_evidence=tuple(min(level, 1 - other) for level, other in zip(flutter, af, strict=True)),
                    noise_evidence=tuple(0.9 * (level == 1.0) for level in noise),
                    prediction_set=("af", "flutter") if inside[-1][2] > 0.4 else ("af",),
                )
            )
        end += hop
    return windows


def run(windows: list[Finding]) -> tuple[RhythmAlarms, list[AlarmEvent]]:
    """All events of the windows and of the end of their epoch."""
    alarms = RhythmAlarms(BED)
    events = play(alarms, windows, BEATS)
    end = windows[-1].end if windows else 0
    return alarms, [*events, *alarms.finish(end, 1.0, known(BEATS, end))]


@PROPERTY
@given(findings())
def test_the_life_of_every_alarm_is_whole(windows: list[Finding]) -> None:
    """Nothing ends that did not start, AF and flutter are never active together, everything ends, no id comes twice."""
    _, events = run(windows)
    active: AlarmEvent | None = None
    for event in events:
        if event.phase is Phase.START:
            assert active is None
            assert event.onset <= event.at
        else:
            assert active is not None
            assert (event.id, event.kind) == (active.id, active.kind)
            assert event.at >= active.at
        if event.phase is Phase.END:
            assert event.offset is not None
            assert event.onset <= event.offset <= event.at
        else:
            assert event.offset is None
        assert (event.state is State.INACTIVE) == (event.phase is Phase.END)
        active = None if event.phase is Phase.END else event
    assert active is None
    assert len({event.event for event in events}) == len(events)
    starts = [event.id for event in events if event.phase is Phase.START]
    assert len(set(starts)) == len(starts)
    ends = [event for event in events if event.phase is Phase.END]
    for one, other in pairwise(ends):
        assert one.offset is not None
        assert one.offset <= other.onset


@PROPERTY
@given(findings(), st.data())
def test_a_restored_object_goes_on_as_the_original(windows: list[Finding], data: st.DataObject) -> None:
    """A worker that takes over at any finding sends the very events, with the very ids, that the first would have."""
    where = data.draw(st.integers(0, len(windows)))
    original = RhythmAlarms(BED)
    play(original, windows[:where], BEATS)
    restored = RhythmAlarms(BED)
    restored.restore(original.snapshot())
    assert restored.active == original.active
    for window in windows[where:]:
        now = known(BEATS, window.end)
        assert restored.observe(window, now) == original.observe(window, now)
        assert restored.snapshot() == original.snapshot()
        assert (restored.episodes, restored.burden_24h) == (original.episodes, original.burden_24h)


def test_another_process_gives_the_same_events() -> None:
    """Byte for byte, ids and all, though its sets are in another order: a worker that takes over replays what was."""
    told = [
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert {kind for kind in Kind if f'"{kind}"'.encode() in told[0]} == {Kind.AF, Kind.FLUTTER}


@PROPERTY
@given(findings())
def test_nothing_is_told_of_a_rhythm_by_a_window_that_could_not_be_judged(windows: list[Finding]) -> None:
    """But that its end was not seen; and a start has high evidence in its own ten seconds."""
    at = {window.end: window for window in windows}
    for event in run(windows)[1]:
        assert at[event.at].usable or event.text.endswith("(end not seen)")
        if event.phase is Phase.START:
            evidence = at[event.at].af_evidence if event.kind is Kind.AF else at[event.at].flutter_evidence
            assert max(evidence) > 0.5


@PROPERTY
@given(findings())
def test_episodes_and_burden_agree(windows: list[Finding]) -> None:
    """Episodes are in order and apart; the burden is their time, but for what could not be judged in them."""
    alarms, _ = run(windows)
    episodes, burden = alarms.episodes, alarms.burden_24h
    for episode in episodes:
        assert episode.offset is not None
        assert episode.onset <= episode.offset <= windows[-1].end + BIN
    for one, other in pairwise(episodes):
        assert one.offset is not None
        assert one.offset <= other.onset
    lengths = [(episode.offset or 0) - episode.onset for episode in episodes if episode.kind is Kind.AF]
    assert burden.count == len(lengths)
    assert burden.longest_s == max(lengths, default=0) / FS
    assert 0 <= burden.af_s <= burden.analysed_s <= (windows[-1].end + BIN if windows else 0) / FS
    assert burden.af_s <= sum(lengths) / FS + 1


@PROPERTY
@given(findings())
@example(list(stream(100, lambda second: 0.85 * (40 <= second < 51))))
def test_whatever_was_alarmed_is_in_an_episode(windows: list[Finding]) -> None:
    """The history and the burden of a bed tell of the same AF."""
    alarms, events = run(windows)
    for event in events:
        if event.offset is not None and event.offset > event.onset:
            assert any(each.onset < event.offset and (each.offset or 0) > event.onset for each in alarms.episodes)


@PROPERTY
@given(st.floats(0.0, 0.4), st.sampled_from([0.5, 1.0, 5.0]), st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200))))
def test_low_evidence_never_alarms(level: float, hop_s: float, unusable: list[tuple[float, float]]) -> None:
    """Whatever could not be judged in between."""
    alarms = RhythmAlarms(BED)
    assert not play(alarms, stream(200, lambda _: level, hop_s=hop_s, unusable=unusable), BEATS)
    assert alarms.burden_24h.af_s == 0


@PROPERTY
@given(st.sampled_from([0.5, 0.8, 1.0, 1.7, 2.5, 3.1, 5.0]), st.integers(10, 60), st.booleans())
def test_sure_evidence_alarms_in_time(hop_s: float, onset: int, from_the_start: bool) -> None:
    """All ones: provisional within 15 s of the onset and a hop, confirmed within 40 s and a hop; then silence."""
    first = 0 if from_the_start else onset
    events = play(
        RhythmAlarms(BED), stream(300, rhythm((first, 300)), hop_s=hop_s), beats_of(300, rhythm((first, 300)))
    )
    assert [event.phase for event in events] == [Phase.START, Phase.ESCALATE]
    late = 0.0 if from_the_start else hop_s
    assert events[0].at <= (first + 15 + late) * FS
    assert events[1].at <= (first + 40 + late) * FS
    assert events[0].epoch == EPOCH
