"""The burden's reading: episodes with onset and offset, and how much AF there was."""

import pytest

from alarms.episodes import Burden, EpisodeConfig
from alarms.rhythm_alarms import RhythmAlarms
from tests.alarms.findings import BED, EPOCH, FS, beats_of, known, play, rhythm, stream


def watch(seconds: float, *pieces: tuple[float, float], **how: object) -> RhythmAlarms:
    """A bed after ``seconds`` with AF in ``pieces``, and its epoch over."""
    alarms = RhythmAlarms(BED, how.pop("config", None))  # type: ignore[arg-type]
    beats = beats_of(seconds, rhythm(*pieces))
    play(alarms, stream(seconds, rhythm(*pieces), **how), beats)  # type: ignore[arg-type]
    end = round(seconds * FS)
    alarms.finish(end, 0.0, known(beats, end))
    return alarms


@pytest.mark.parametrize("hop_s", [0.5, 1.0, 5.0])
def test_an_episode_has_its_onset_and_offset_at_the_beat(hop_s: float) -> None:
    """What a doctor reads as the length of an episode must be right to a beat or two, at any hop."""
    alarms = watch(400, (100, 220), hop_s=hop_s)
    (episode,) = alarms.episodes
    assert episode.offset is not None
    assert abs(episode.onset / FS - 100) < 2
    assert abs(episode.offset / FS - 220) < 2
    assert episode.confirmed
    assert alarms.burden_24h.af_s == pytest.approx(120, abs=3)
    assert alarms.burden_24h.analysed_s == pytest.approx(400, abs=5)
    assert alarms.burden_24h.longest_s == pytest.approx(120, abs=3)
    assert alarms.burden_24h.count == 1


def test_short_episodes_count_for_the_burden() -> None:
    """Burden has no shortest episode: 20 s of AF are found, but not called confirmed."""
    alarms = watch(300, (100, 120), (200, 250))
    assert [episode.confirmed for episode in alarms.episodes] == [False, True]
    assert alarms.burden_24h.count == 2
    assert alarms.burden_24h.af_s == pytest.approx(70, abs=5)


def test_what_was_alarmed_is_an_episode() -> None:
    """Nobody understands an alarm of AF beside a burden of nothing: eleven seconds at .85 drown in the smoothing."""
    alarms = RhythmAlarms(BED)
    af, beats = rhythm((100, 111), (200, 290)), beats_of(400, rhythm((100, 111), (200, 290)))
    events = play(alarms, stream(400, lambda second: 0.85 * af(second)), beats)
    end = next(event for event in events if event.offset is not None)
    assert (alarms.episodes[0].onset, alarms.episodes[0].offset) == (end.onset, end.offset)
    assert [each.confirmed for each in alarms.episodes] == [False, True]
    assert alarms.burden_24h.count == 2
    assert alarms.burden_24h.af_s == pytest.approx(101, abs=3)


def test_evidence_that_hovers_at_the_threshold_is_one_episode() -> None:
    """Twenty episodes of a minute are another diagnosis than one of twenty."""
    alarms = RhythmAlarms(BED)
    play(alarms, stream(500, lambda second: 0.9 if second < 100 else 0.53 if second % 60 < 30 else 0.43))
    assert len(alarms.episodes) == 1


def test_unjudged_time_is_neither_af_nor_free_of_it() -> None:
    """A bed without electrodes for an hour must not show half of its AF burden."""
    alarms = watch(700, (0, 700), unusable=[(200, 500)])
    assert alarms.burden_24h.analysed_s == pytest.approx(410, abs=2)  # the windows before and after reach 10 s into it
    assert alarms.burden_24h.share == pytest.approx(1.0, abs=0.01)
    first, second = alarms.episodes
    assert first.offset == 200 * FS
    assert second.onset == 491 * FS


def test_a_short_stretch_of_noise_does_not_cut_an_episode() -> None:
    """Turning over in bed is no end of AF."""
    alarms = watch(300, (50, 250), noise=rhythm((120, 160)))
    assert len(alarms.episodes) == 1
    assert alarms.burden_24h.analysed_s == pytest.approx(260, abs=2)
    assert alarms.burden_24h.af_s == pytest.approx(160, abs=4)


def test_an_episode_in_which_the_recording_begins_or_ends_is_cut_there() -> None:
    """An onset that nobody saw is not looked for among beats."""
    (episode,) = watch(100, (0, 100)).episodes
    assert (episode.onset, episode.offset) == (0, 100 * FS)


def test_flutter_is_an_episode_of_its_own_and_no_burden_of_af() -> None:
    """Flutter counts as not AF."""
    alarms = RhythmAlarms(BED)
    play(alarms, stream(400, rhythm((100, 200)), rhythm((200, 300))), beats_of(400, rhythm((100, 200))))
    alarms.finish(400 * FS, 0.0, beats_of(400)[:0])
    assert [str(episode.kind) for episode in alarms.episodes] == ["af", "flutter"]
    assert alarms.episodes[0].offset == alarms.episodes[1].onset
    assert alarms.burden_24h.af_s == pytest.approx(100, abs=4)


def test_an_episode_that_lasts_has_no_offset_and_counts() -> None:
    """The bed's card shows the running episode."""
    alarms = RhythmAlarms(BED)
    play(alarms, stream(200, rhythm((100, 300))), beats_of(200, rhythm((100, 300))))
    (episode,) = alarms.episodes
    assert episode.offset is None
    assert alarms.burden_24h.count == 1
    assert alarms.burden_24h.longest_s == pytest.approx(80, abs=4)  # the newest 20 s are not final


def test_the_rolling_day_forgets() -> None:
    """AF of the day before yesterday is no burden of today; the state holds sums of hours, not of seconds."""
    alarms = RhythmAlarms(BED, EpisodeConfig(episodes_kept=2))
    day = 24 * 3600.0
    pieces = [(100.0, 400.0), (1000.0, 1100.0), (1500.0, 1600.0)]
    play(alarms, stream(2000, rhythm(*pieces), hop_s=5))
    later = list(stream(2000, rhythm((500, 700)), hop_s=5))
    for each in later:
        shifted = type(each)(**{**_fields(each), "end": each.end + round(1.5 * day) * FS})
        alarms.observe(shifted, beats_of(1)[:0])
    assert alarms.burden_24h.count == 1
    assert alarms.burden_24h.af_s == pytest.approx(200, abs=5)
    assert alarms.burden_24h.longest_s == pytest.approx(200, abs=5)
    assert len(alarms.episodes) == 2
    assert len(alarms.snapshot()) < 3000


def _fields(each: object) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__struct_fields__}  # type: ignore[attr-defined]


def test_without_a_network_nothing_is_analysed() -> None:
    """Findings by beats alone say nothing of AF: no burden of 0 %."""
    alarms = RhythmAlarms(BED)
    alarms.start(EPOCH)
    for each in stream(100, rhythm()):
        bare = type(each)(**{**_fields(each), "af_evidence": ()})
        assert alarms.observe(bare, beats_of(100)) == []
    assert alarms.burden_24h == Burden()
    assert alarms.burden_24h.share is None
    assert alarms.episodes == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"confirm_s": 20.0}, "confirm_s: expected 30 to 60 s, got 20.0"),
        ({"burden_on": 0.3}, "burden_off"),
        ({"alarm_slow_s": 90.0}, "alarm_slow_s"),
        ({"episodes_kept": 0}, "episodes_kept"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(wrong: dict[str, float], message: str) -> None:
    """It would alarm always or never."""
    with pytest.raises(ValueError, match=message):
        EpisodeConfig(**wrong)  # type: ignore[arg-type]
