"""Asystole, pause and the rate alarms: when they come, what they say, when they go."""

from itertools import pairwise
from typing import Any

import pytest

from alarms.alarm import Phase, Priority, State
from alarms.limits import Limits

FS = 500


def test_a_quiet_bed_says_nothing(tell: Any) -> None:
    """80 /min for two minutes on twelve good leads is no event at all."""
    assert tell.History(120, tell.steady(0.3, 120, 80)).play() == []


def test_asystole_comes_within_five_seconds_of_the_last_beat(tell: Any) -> None:
    """IEC 60601-2-27: 4 s without a beat, plus the detector's 0.5 s and the grid; never before the 4 s are proven."""
    events = tell.of_kind(tell.History(60, tell.steady(0.3, 20, 80)).play(), "asystole")
    start = events[0]
    last = max(beat for beat in tell.steady(0.3, 20, 80))
    assert 4.5 < start.at / FS - last <= 4.7
    assert (start.onset, start.phase, start.state) == (round(last * FS), Phase.START, State.ACTIVE)
    assert (start.priority, start.limit, start.model) == (Priority.HIGH, 4.0, "beats-1")
    assert start.text == f"ASYSTOLE {start.value:.1f} s"
    assert 4.0 < (start.value or 0) <= 4.2
    # 40 s of it are few events: at twice the length each.
    assert [str(event.phase) for event in events] == ["start", "update", "update", "update"]


def test_a_rate_of_sixteen_is_no_asystole(tell: Any) -> None:
    """Beats 3.75 s apart: pause and extreme brady, but never an asystole from a beat that is not decided yet."""
    kinds = {event.kind for event in tell.History(90, tell.steady(0.3, 90, 16)).play()}
    assert kinds == {"pause", "extreme_brady"}


def test_asystole_ends_at_the_second_beat(tell: Any) -> None:
    """One artefact must not silence an asystole; two beats within 4 s end it, with its length."""
    silent = tell.steady(0.3, 10, 80)
    events = tell.of_kind(tell.History(60, [*silent, 20.0]).play(), "asystole")
    assert all(event.phase is not Phase.END for event in events)
    events = tell.of_kind(tell.History(60, [*silent, 20.0, *tell.steady(26.0, 60, 70)]).play(), "asystole")
    end = events[-1]
    assert end.phase is Phase.END
    assert end.state is State.INACTIVE
    assert end.at / FS == pytest.approx(26.0 + 60 / 70 + 0.5, abs=0.11)
    assert end.value == pytest.approx(26.0 - silent[-1], abs=0.06)


def test_no_beat_at_all_is_an_asystole_since_the_signal_began(tell: Any) -> None:
    """A bed that is connected in cardiac arrest has no last beat to count from."""
    states = ((0.0, tell.leads("off")), (3.0, tell.leads()))
    start = tell.of_kind(tell.History(20, [], states).play(), "asystole")[0]
    assert start.onset / FS == pytest.approx(3.0, abs=0.5)
    # 4 s of silence, 0.5 s of latency, and 2 s for the detector to learn what a beat looks like here.
    assert 6.4 < (start.at - start.onset) / FS < 6.8


def test_a_flat_line_is_an_asystole(tell: Any) -> None:
    """A simulator's asystole is a constant line: all leads turn flat, and that is what must alarm."""
    states = ((0.0, tell.leads()), (21.5, tell.leads("flat")))
    events = tell.History(40, tell.steady(0.3, 20, 80), states).play()
    last = tell.steady(0.3, 20, 80)[-1]
    assert tell.of_kind(events, "asystole")[0].at / FS <= last + 5.0
    assert not tell.of_kind(events, "leads_off")


def test_noise_never_starts_nor_ends_an_asystole(tell: Any) -> None:
    """While no lead is usable nothing is judged; after it the 4 s begin anew."""
    states = ((0.0, tell.leads()), (22.0, tell.leads("noisy")), (40.0, tell.leads()))
    history = tell.History(60, tell.steady(0.3, 21, 80), states)
    start = tell.of_kind(history.play(), "asystole")[0]
    assert start.onset / FS == pytest.approx(40.0, abs=0.5)
    states = ((0.0, tell.leads()), (30.0, tell.leads("noisy")))
    frozen = tell.of_kind(tell.History(60, [*tell.steady(0.3, 20, 80), 35.0, 36.0], states).play(), "asystole")
    assert [event.phase for event in frozen if event.at > 31 * FS] == []


def test_single_lost_chunks_do_not_hide_an_asystole(tell: Any) -> None:
    """A link that drops 0.2 s every 2 s stops the asystole's clock, but does not start it anew."""
    lost = [(second, second + 0.2) for second in range(21, 60, 2)]
    start = tell.of_kind(tell.History(60, tell.steady(0.3, 20, 80), unsent=lost).play(), "asystole")[0]
    last = tell.steady(0.3, 20, 80)[-1]
    assert 4.9 < start.at / FS - last < 5.3


def test_a_beat_may_hide_in_a_lost_chunk(tell: Any) -> None:
    """3.2 s between two beats are no pause if 0.2 s between them were lost, whenever the first was decided."""
    for lost in (20.1, 21.5):
        beats = [*tell.steady(0.4, 20.5, 60)[:-1], 20.0, *tell.steady(23.2, 40, 60)]
        assert tell.of_kind(tell.History(40, beats).play(), "pause")
        assert not tell.of_kind(tell.History(40, beats, unsent=[(lost, lost + 0.2)]).play(), "pause")


def test_what_was_before_lost_signal_does_not_count_after_it(tell: Any) -> None:
    """Nothing is added up across a stretch that nobody saw: neither a delay, nor a beat, nor half of a proof."""
    noise = ((0.0, tell.leads()), (30.0, tell.leads("noisy")), (40.0, tell.leads()))
    # 140 /min begins 5 s before the noise and goes on after it: the average and the delay start anew.
    beats = [*tell.steady(0.3, 25, 80), *tell.steady(25, 60, 140)]
    (tachy,) = tell.of_kind(tell.History(60, beats, noise).play(), "tachy")
    assert tachy.onset / FS > 40.4
    assert (tachy.at - tachy.onset) / FS >= 3.0
    # A beat inside the noise that is decided after it is no beat to count silence from.
    asystole = tell.of_kind(tell.History(60, [*tell.steady(0.3, 29, 80), 40.2], noise).play(), "asystole")[0]
    assert asystole.onset / FS == pytest.approx(40.4, abs=0.06)
    # One beat before the noise and one after it do not end an asystole.
    brief_noise = ((0.0, tell.leads()), (30.0, tell.leads("noisy")), (31.5, tell.leads()))
    beats = [*tell.steady(0.3, 15, 80), 29.4, 32.6]
    seen, unseen = (tell.History(60, beats, states).play() for states in (((0.0, tell.leads()),), brief_noise))
    assert Phase.END in {event.phase for event in tell.of_kind(seen, "asystole")}
    assert Phase.END not in {event.phase for event in tell.of_kind(unseen, "asystole")}


def test_a_pause_is_told_when_its_beat_comes_or_before(tell: Any) -> None:
    """3.2 s: known only by its beat. 3.8 s: known at 3.5 s. The end carries its length."""
    for length in (3.2, 3.8):
        before = tell.steady(0.3, 15, 75)
        events = tell.of_kind(tell.History(60, [*before, *tell.steady(before[-1] + length, 60, 75)]).play(), "pause")
        start, end = events
        assert (start.phase, end.phase) == (Phase.START, Phase.END)
        assert start.at / FS - before[-1] == pytest.approx(min(length + 0.5, 3.6), abs=0.11)
        assert start.onset == round(before[-1] * FS)
        assert (start.limit, end.text) == (3.0, f"PAUSE {length} s")
        assert 9.0 <= (end.at - start.at) / FS <= 11.0


def test_repeated_pauses_are_one_alarm(tell: Any) -> None:
    """A block that drops a beat every 8 s is one alarm with few updates, not seven."""
    beats = [beat for start in range(10, 66, 8) for beat in tell.steady(start + 0.3, start + 5.0, 65)]
    events = tell.of_kind(tell.History(66, beats).play(), "pause")
    assert [event.phase for event in events if event.phase is not Phase.UPDATE] == [Phase.START]
    assert len(events) <= 2


def test_three_seconds_exactly_are_no_pause(tell: Any) -> None:
    """Limits are compared strictly."""
    before = tell.steady(0.3, 15, 60)
    assert tell.of_kind(tell.History(40, [*before, *tell.steady(before[-1] + 3.0, 40, 60)]).play(), "pause") == []


def test_an_asystole_takes_over_from_its_pause(tell: Any) -> None:
    """One silence is one alarm: the pause of 3 s ends when it has become an asystole."""
    events = tell.History(30, tell.steady(0.3, 15, 80)).play()
    assert [(event.kind, event.phase) for event in events[:3]] == [
        ("pause", Phase.START),
        ("asystole", Phase.START),
        ("pause", Phase.END),
    ]
    assert {event.kind for event in events} == {"pause", "asystole"}


@pytest.mark.parametrize(
    ("after", "limits", "kind", "text"),
    [
        (120.0, Limits(hr_high=100), "tachy", "> 100"),
        (40.0, Limits(hr_low=60), "brady", "< 60"),
        (40.0, Limits(), "brady", "< 50"),
    ],
)
def test_a_rate_step_alarms_within_ten_seconds(tell: Any, after: float, limits: Limits, kind: str, text: str) -> None:
    """IEC 60601-2-27: from 80 to 120 with a limit of 100, from 80 to 40 with a limit of 60."""
    first = tell.steady(0.3, 20, 80)
    beats = [*first, *tell.steady(first[-1] + 60 / after, 80, after)]
    events = tell.History(80, beats).play(limits)
    start = events[0]
    assert (start.kind, start.phase) == (kind, Phase.START)
    assert start.text.endswith(text)
    assert start.at / FS - first[-1] <= 10.0
    assert start.onset < start.at
    assert {event.kind for event in events} == {kind}
    assert len(events) <= 3


@pytest.mark.parametrize("rates", [(25.0, 40.0, "extreme_brady", "brady"), (190.0, 140.0, "extreme_tachy", "tachy")])
def test_an_extreme_rate_goes_back_to_the_plain_alarm(tell: Any, rates: tuple[float, float, str, str]) -> None:
    """A rate that is only less extreme is still beyond its limit: the de-escalation must not be lost."""
    extreme, plain, lethal, mild = rates
    beats = [*tell.steady(0.3, 20, 80), *tell.steady(21, 60, extreme), *tell.steady(62, 100, plain)]
    beats += tell.steady(101.5, 140, 80)
    events = [event for event in tell.History(140, beats).play() if event.phase in (Phase.START, Phase.END)]
    order = [(str(event.kind), str(event.phase)) for event in events if event.kind != "pause"]
    assert order[-4:] == [(lethal, "start"), (mild, "start"), (lethal, "end"), (mild, "end")]
    assert len({event.event for event in events}) == len(events)


@pytest.mark.parametrize("rates", [(25.0, 40.0, "extreme_brady", "brady"), (190.0, 140.0, "extreme_tachy", "tachy")])
def test_a_rate_that_turns_extreme_is_one_alarm_at_a_time(tell: Any, rates: tuple[float, float, str, str]) -> None:
    """The extreme alarm replaces the plain one at the same tick, and starts before the plain one ends."""
    extreme, plain, lethal, mild = rates
    events = tell.History(90, [*tell.steady(0.3, 40, plain), *tell.steady(41, 90, extreme)]).play()
    order = [(str(event.kind), str(event.phase), event.at) for event in events if event.phase is not Phase.UPDATE]
    assert [step[:2] for step in order] == [(mild, "start"), (lethal, "start"), (mild, "end")]
    assert order[1][2] == order[2][2]


def test_a_rate_at_its_limit_does_not_alarm(tell: Any) -> None:
    """Limits are compared strictly, with the number that the screen shows."""
    assert tell.History(60, tell.steady(0.3, 60, 120)).play() == []
    assert tell.History(60, tell.steady(0.3, 60, 50)).play() == []
    assert [event.text for event in tell.History(60, tell.steady(0.3, 60, 121)).play()] == ["HR 121 > 120"]


def test_one_premature_beat_and_its_pause_do_not_alarm(tell: Any) -> None:
    """The commonest false alarm of a rate counter, at rates close to both limits."""
    for bpm, coupling in ((55.0, 0.5), (115.0, 0.3)):
        beats = tell.steady(0.3, 60, bpm)
        beats[20] = beats[19] + coupling
        assert tell.History(60, beats).play() == []


def test_a_rate_that_hovers_is_one_alarm(tell: Any) -> None:
    """118 and 124 in turn, 3 s each: one alarm, for the rate is never back for 5 s."""
    beats, now = [], 0.3
    while now < 90:
        beats.append(now)
        now += 60 / (118 if int(now / 3) % 2 else 126)
    events = tell.History(90, beats).play()
    assert [str(event.phase) for event in events] == ["start"]


def test_rate_updates_are_few(tell: Any) -> None:
    """A rate that wanders between 130 and 150 tells only what is news: 5 /min, at most every 10 s."""
    beats, now = [], 0.3
    while now < 120:
        beats.append(now)
        now += 60 / (140 + 10 * ((now / 7) % 2 - 1))
    events = tell.History(120, beats).play()
    assert events[0].phase is Phase.START
    assert all(event.phase is Phase.UPDATE for event in events[1:])
    assert all(later.at - earlier.at >= 10 * FS for earlier, later in pairwise(events))
    assert all(abs((b.value or 0) - (a.value or 0)) >= 5 for a, b in pairwise(events))


def test_an_asystole_ends_the_rate_alarm(tell: Any) -> None:
    """A bed in cardiac arrest does not show HR 134 beside it."""
    events = tell.History(40, tell.steady(0.3, 25, 134)).play()
    at = next(event.at for event in events if event.kind == "asystole")
    assert ("tachy", "end", at / FS) in tell.brief(events)


def test_lost_signal_freezes_a_rate_alarm(tell: Any) -> None:
    """Noise does not prove that a tachycardia is over: it stays until the rate is seen to be back."""
    states = ((0.0, tell.leads()), (30.0, tell.leads("noisy")), (50.0, tell.leads()))
    beats = [*tell.steady(0.3, 30, 140), *tell.steady(50, 90, 80)]
    events = tell.of_kind(tell.History(90, beats, states).play(), "tachy")
    assert [event.phase for event in events] == [Phase.START, Phase.END]
    assert events[1].at / FS > 55
