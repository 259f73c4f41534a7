"""What beats and signal say of one window."""

import numpy as np
import pytest

from ecg.quality import LeadState, QualityMark
from models.judge import judge
from windowing.spans import Window

GOOD, OFF, NOISY, MISSING = LeadState.GOOD, LeadState.OFF, LeadState.NOISY, LeadState.MISSING
BEATS = np.arange(0, 20_000, 400, dtype=np.int64)


def window(end: int) -> Window:
    return Window(7, end, np.zeros((12, 5000), dtype=np.float32), np.ones((12, 5000), dtype=np.bool_))


def marks(end: int, *states: tuple[LeadState, int]) -> list[QualityMark]:
    """Marks every half second up to ``end``: lead II in the given states for so many marks, the others missing."""
    row = [state for state, count in states for _ in range(count)]
    first = end - 250 * len(row)
    return [QualityMark(first + 250 * (n + 1), (MISSING, s, *[MISSING] * 10)) for n, s in enumerate(row)]


def test_a_good_window_has_its_beats_and_rate() -> None:
    """Protects the finding: beats of the window alone, the rate of the latest, quality of the leads that are there."""
    finding = judge("b", window(12_000), BEATS[BEATS < 11_900], marks(12_000, (GOOD, 20)), 5.0)
    assert finding.usable
    assert finding.beats == tuple(range(7200, 11_900, 400))
    assert finding.hr_bpm == pytest.approx(75)
    assert finding.quality == {"II": "good"}
    assert (finding.epoch, finding.end, finding.sent_at) == (7, 12_000, 5.0)


def test_too_little_signal_is_not_judged() -> None:
    """Protects from a guess: less than half of the window usable is no rate and not usable; half is enough."""
    little = judge("b", window(12_000), BEATS, marks(12_000, (OFF, 11), (GOOD, 9)), 0.0)
    assert not little.usable
    assert little.hr_bpm is None
    assert little.quality == {"II": "off"}
    enough = judge("b", window(12_000), BEATS[BEATS < 12_000], marks(12_000, (NOISY, 10), (GOOD, 10)), 0.0)
    assert enough.usable


def test_marks_of_other_times_do_not_count() -> None:
    """Protects a window from the quality of what came before it."""
    before = marks(7000, (OFF, 20))
    finding = judge("b", window(12_000), BEATS[BEATS < 12_000], before + marks(12_000, (GOOD, 20)), 0.0)
    assert finding.usable
