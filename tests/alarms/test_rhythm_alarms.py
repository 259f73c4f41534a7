"""The alarms of AF and flutter: told at onset and at termination, and not on every window."""

import msgspec
import pytest

from alarms.alarm import Kind, Phase, Priority, State, alarm_id
from alarms.episodes import EpisodeConfig
from alarms.rhythm_alarms import RhythmAlarms
from tests.alarms.findings import BED, EPOCH, FS, beats_of, brief, finding, known, play, rhythm, stream

SINUS = beats_of(1)[:0]  # no beats: the change is taken from the evidence


def test_an_episode_is_four_words_at_most() -> None:
    """AF speaks at onset and termination (Drew 2014): provisional, confirmed, ended."""
    af = rhythm((100, 200))
    beats = beats_of(300, af)
    events = play(RhythmAlarms(BED), stream(300, af), beats)
    assert [(event.kind, event.phase) for event in events] == [
        (Kind.AF, Phase.START),
        (Kind.AF, Phase.ESCALATE),
        (Kind.AF, Phase.END),
    ]
    start, sure, end = events
    assert start.at / FS - 100 <= 15
    assert sure.at / FS - 100 <= 40
    assert abs(start.onset / FS - 100) < 2
    assert end.offset is not None
    assert abs(end.offset / FS - 200) < 2
    assert (start.text, sure.text, end.text) == ("AF? HR 90", "AF HR 90", "AF 1 min 40 s")
    assert (start.reason, start.prediction_set, start.model) == ("no P waves", ("af",), "net")
    assert (start.priority, start.state, end.state) == (Priority.MEDIUM, State.ACTIVE, State.INACTIVE)
    assert {event.id for event in events} == {alarm_id(BED, EPOCH, Kind.AF, start.onset)}
    assert start.offset is None
    assert start.sent_at == EPOCH + 2 * start.at


@pytest.mark.parametrize("hop_s", [0.5, 1.0, 2.4, 2.5, 5.0])
def test_it_comes_in_time_at_any_hop(hop_s: float) -> None:
    """15 s after the signal begins for the provisional alarm, 40 s for the confirmed one."""
    events = play(RhythmAlarms(BED), stream(60, rhythm((0, 60)), hop_s=hop_s))
    assert [phase for _, phase, _ in brief(events)] == ["start", "escalate"]
    assert events[0].at <= 15 * FS
    assert events[1].at <= 40 * FS
    assert events[0].onset == 0


def test_confirmed_is_said_of_the_alarm_that_stands() -> None:
    """An alarm that was updated may still be provisional: the phase of its latest event does not tell."""
    alarms, said = RhythmAlarms(BED), []
    alarms.start(EPOCH)
    for each in stream(200, rhythm((50, 100))):
        said += [(event.phase, alarms.confirmed) for event in alarms.observe(each, SINUS)]
    assert said == [(Phase.START, False), (Phase.ESCALATE, True), (Phase.END, False)]


def test_the_confirmation_can_wait_for_a_minute() -> None:
    """Some wards want 60 s."""
    events = play(RhythmAlarms(BED, EpisodeConfig(confirm_s=60)), stream(100, rhythm((0, 100))))
    assert brief(events)[1] == ("af", "escalate", 60.0)


def test_a_short_run_is_withdrawn_unconfirmed() -> None:
    """What is over before it could be confirmed never says so, and does not stand for long."""
    af = rhythm((100, 118))
    events = play(RhythmAlarms(BED), stream(300, af), beats_of(300, af))
    assert [phase for _, phase, _ in brief(events)] == ["start", "end"]
    assert events[1].at / FS - 118 <= 15
    assert events[1].text in ("AF? 17 s", "AF? 18 s")  # to the beat


def test_ten_seconds_that_look_like_af_do_not_alarm() -> None:
    """A run of atrial beats of some seconds, as the network may see it, is below the bar, and so is one odd window."""
    assert not play(RhythmAlarms(BED), stream(300, rhythm((100, 107), (150, 157))))
    odd = [
        msgspec.structs.replace(each, af_evidence=(0.95,) * 10) if each.end == 100 * FS else each
        for each in stream(300, rhythm())
    ]
    assert not play(RhythmAlarms(BED), odd)


@pytest.mark.parametrize("other", ["sinus", "other", "noise"])
def test_what_may_as_well_be_no_alarm_starts_none(other: str) -> None:
    """Sinus with blocked beats looks like AF for minutes: while the network cannot rule it out nobody is called."""
    clear = 130.0
    events = play(
        RhythmAlarms(BED),
        stream(300, rhythm((30, 250)), prediction_set=lambda end: ("af", other) if end < clear else ("af",)),
    )
    assert events[0].at == clear * FS
    assert events[0].onset == 30 * FS
    alarms = RhythmAlarms(BED)
    assert not play(alarms, stream(300, rhythm((30, 250)), prediction_set=lambda _: ("af", other)))
    assert alarms.burden_24h.af_s == pytest.approx(220, abs=5)  # it is counted all the same


def test_a_rhythm_that_is_in_every_set_doubts_nothing() -> None:
    """A network that learnt of too few patients with other rhythms must not be a ward without AF alarms."""
    alarms = RhythmAlarms(BED, excludable=frozenset({"af", "sinus"}))
    assert play(alarms, stream(100, rhythm((30, 100)), prediction_set=lambda _: ("af", "other")))


def test_evidence_that_a_finding_lacks_is_none() -> None:
    """A network that tells nothing of flutter or noise is heard of AF all the same."""
    bare = [
        msgspec.structs.replace(each, flutter_evidence=(), noise_evidence=()) for each in stream(100, rhythm((0, 100)))
    ]
    assert [phase for _, phase, _ in brief(play(RhythmAlarms(BED), bare))] == ["start", "escalate"]


def test_the_newest_window_tells_what_older_ones_could_not_know() -> None:
    """A network sees a rhythm begin some seconds late; what it said until then must not hold up the alarm."""
    windows = [
        msgspec.structs.replace(each, af_evidence=(0.2,) * 10) if 100 * FS < each.end < 110 * FS else each
        for each in stream(200, rhythm((100, 200)))
    ]
    (start,) = play(RhythmAlarms(BED), windows)[:1]
    assert start.at == 111 * FS


def test_af_that_is_likely_but_never_sure_is_told_after_a_minute() -> None:
    """The baseline's reading: 60 s above .7."""
    (start,) = play(RhythmAlarms(BED), stream(95, lambda second: 0.75 * (second > 30)))[:1]
    assert 85 <= start.at / FS <= 95


def test_a_pause_in_af_does_not_end_it() -> None:
    """Fifteen seconds of sinus are no termination; nothing flaps."""
    af = rhythm((50, 120), (132, 220))
    events = play(RhythmAlarms(BED), stream(300, af), beats_of(300, af))
    assert [phase for _, phase, _ in brief(events)] == ["start", "escalate", "end"]


def test_what_is_not_judged_neither_starts_nor_ends() -> None:
    """Noise that looks like AF is no alarm, noise after AF no end; nor are windows that are unusable or missing."""
    noise = rhythm((100, 150))
    assert not play(RhythmAlarms(BED), stream(200, rhythm((100, 150)), noise=noise))
    for hidden in ({"noise": noise}, {"unusable": [(100, 150)]}, {"missing": [(100, 150)]}):
        events = play(RhythmAlarms(BED), stream(150, rhythm((30, 100)), **hidden))  # type: ignore[arg-type]
        assert [phase for _, phase, _ in brief(events)] == ["start", "escalate"], hidden


def test_a_start_waits_for_a_window_that_can_be_judged() -> None:
    """An alarm carries the reason and the prediction set of its window: one that was not judged has none."""
    usual = play(RhythmAlarms(BED), stream(100, rhythm((30, 100))))[0]
    hidden = usual.at / FS - 0.5, usual.at / FS + 1
    late = play(RhythmAlarms(BED), stream(100, rhythm((30, 100)), unusable=[hidden]))[0]
    assert hidden[1] * FS < late.at <= (hidden[1] + 2) * FS


def test_an_end_waits_for_a_window_that_can_be_judged() -> None:
    """Sinus that was seen, and then nothing: the end is told when the signal is back."""
    usual = play(RhythmAlarms(BED), stream(200, rhythm((30, 100))))[-1]
    hidden = usual.at / FS - 0.5, usual.at / FS + 4
    late = play(RhythmAlarms(BED), stream(200, rhythm((30, 100)), unusable=[hidden]))[-1]
    assert (usual.phase, late.phase) == (Phase.END, Phase.END)
    assert late.at > hidden[1] * FS
    assert late.offset == usual.offset


def test_an_alarm_can_end_in_what_later_windows_call_noise() -> None:
    """Two windows were sure of AF, the third hears noise in all of it: the alarm ends, and the watch goes on."""
    beats = beats_of(40, rhythm((29, 40)))
    said = [(end, 0.0, 0) for end in range(10, 30)] + [(30, 1.0, 1), (31, 1.0, 2), (32, 0.0, 3), (33, 0.0, 4)]
    windows = [
        finding(
            end,
            af_evidence=(af,) * 10,
            flutter_evidence=(0.0,) * 10,
            noise_evidence=(0.0,) * (10 - noisy) + (1.0,) * noisy,
            prediction_set=("af",),
        )
        for end, af, noisy in said
    ]
    start, end = play(RhythmAlarms(BED), windows, beats)
    assert (start.phase, end.phase, end.at) == (Phase.START, Phase.END, 32 * FS)
    assert end.offset == end.onset


@pytest.mark.parametrize("hidden", ["unusable", "missing", "noise"])
def test_after_a_minute_unjudged_it_ends_with_what_is_known(hidden: str) -> None:
    """Nobody can claim that the episode went on."""
    how = {hidden: rhythm((100, 400)) if hidden == "noise" else [(100, 400)]}
    events = play(RhythmAlarms(BED), stream(420, rhythm((30, 100)), **how))  # type: ignore[arg-type]
    assert [phase for _, phase, _ in brief(events)] == ["start", "escalate", "end"]
    assert events[2].offset == 100 * FS
    assert events[2].text == "AF 1 min 10 s (end not seen)"
    assert events[2].at >= 160 * FS


def test_the_end_of_the_epoch_ends_the_alarm() -> None:
    """A patient who leaves in AF has no alarm that stays for ever."""
    alarms = RhythmAlarms(BED)
    play(alarms, stream(100, rhythm((30, 100))))
    (end,) = alarms.finish(100 * FS, 7.0, SINUS)
    assert (end.phase, end.offset, end.sent_at) == (Phase.END, 100 * FS, 7.0)
    assert alarms.active == ()
    alarms.start(EPOCH + 1)
    assert alarms.episodes == []


def test_af_that_becomes_flutter_and_back_is_one_alarm_at_a_time() -> None:
    """One ends, the other starts at the same moment, and swings of some seconds between them are not told."""
    af, flutter = rhythm((50, 150), (250, 350)), rhythm((150, 250))
    events = play(RhythmAlarms(BED), stream(400, af, flutter), beats_of(400, af))
    assert [(kind, phase) for kind, phase, _ in brief(events)] == [
        ("af", "start"),
        ("af", "escalate"),
        ("af", "end"),
        ("flutter", "start"),
        ("flutter", "escalate"),
        ("flutter", "end"),
        ("af", "start"),
        ("af", "escalate"),
        ("af", "end"),
    ]
    assert events[2].at == events[3].at
    assert events[3].priority is Priority.LOW
    assert events[3].onset == events[2].offset
    assert events[5].at == events[6].at <= 265 * FS  # AF does not wait for flutter to have been gone for a while
    assert abs(events[6].onset / FS - 250) < 2

    swings = [(float(second), float(second + 7)) for second in range(50, 350, 14)]
    af, flutter = rhythm(*swings), rhythm(*((end, end + 7) for _, end in swings))
    assert len(play(RhythmAlarms(BED), stream(400, af, flutter))) <= 2


def test_a_prediction_set_that_changes_for_good_is_told_but_not_often() -> None:
    """A nurse wants to know that flutter became possible; she does not want a line a second."""

    def sets(end: float) -> tuple[str, ...]:
        if end < 150:
            return ("af", "tachy") if int(end) % 3 else ("af",)  # tachycardia is no question of this alarm
        return ("af", "flutter") if end < 400 or int(end) % 7 else ("af",)

    events = play(RhythmAlarms(BED), stream(600, rhythm((30, 600)), prediction_set=sets))
    assert [phase for _, phase, _ in brief(events)] == ["start", "escalate", "update"]
    assert events[2].prediction_set == ("af", "flutter")
    assert 160 <= events[2].at / FS <= 165
    assert events[2].id == events[0].id


def test_a_refined_onset_keeps_the_id() -> None:
    """Consumers know an alarm by its id, and its escalation may know the onset better."""
    af = rhythm((100, 200))
    beats = beats_of(300, af)
    alarms = RhythmAlarms(BED)
    blind = play(alarms, [each for each in stream(300, af) if each.end <= 115 * FS])  # no beats: onset by evidence
    seen = [
        event
        for each in stream(300, af)
        if each.end > 115 * FS
        for event in alarms.observe(each, known(beats, each.end))
    ]
    assert seen[0].phase is Phase.ESCALATE
    assert seen[0].onset != blind[0].onset
    assert seen[0].onset in beats.tolist()
    assert seen[0].id == blind[0].id


def test_what_makes_no_sense_is_refused() -> None:
    """A finding of another bed, another epoch or the past; an epoch that begins in an alarm; another bed's state."""
    alarms = RhythmAlarms(BED)
    with pytest.raises(ValueError, match="epoch None"):
        alarms.observe(finding(10), SINUS)
    play(alarms, stream(60, rhythm((0, 60))))
    with pytest.raises(ValueError, match="after 30000"):
        alarms.observe(finding(60), SINUS)
    with pytest.raises(ValueError, match="has af"):
        alarms.start(EPOCH + 1)
    with pytest.raises(ValueError, match="expected bed 'bed-2'"):
        RhythmAlarms("bed-2").restore(alarms.snapshot())
