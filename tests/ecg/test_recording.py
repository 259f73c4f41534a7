"""A recording's parts."""

import numpy as np

from ecg.recording import Recording, Rhythm


def recording() -> Recording:
    """Ten samples with beats at 1, 4 and 8, in AF from sample 3 to 6."""
    return Recording(
        "r",
        100,
        ("II",),
        np.arange(10, dtype=np.float32)[None],
        np.array([1, 4, 8]),
        ("N", "V", "A"),
        (Rhythm("N", 0, 3), Rhythm("AFIB", 3, 6), Rhythm("N", 6, 10)),
    )


def test_a_part_keeps_its_annotations() -> None:
    """`replay --from` and the training windows of a part: beats and rhythms must stay at their samples."""
    part = recording().sliced(2, 7)
    assert part.microvolts.tolist() == [[2, 3, 4, 5, 6]]
    assert part.beats is not None
    assert (part.beats.tolist(), part.beat_symbols) == ([2], ("V",))
    assert part.rhythms == (Rhythm("N", 0, 1), Rhythm("AFIB", 1, 4), Rhythm("N", 4, 5))
    rest = recording().sliced(4)
    assert rest.beats is not None
    assert (rest.beats.tolist(), rest.beat_symbols, rest.seconds) == ([0, 4], ("V", "A"), 0.06)


def test_what_is_not_annotated_stays_unknown() -> None:
    """Beats that nobody marked are None, not none; beats without symbols keep none."""
    signal = np.zeros((1, 10), np.float32)
    assert Recording("r", 100, ("II",), signal).sliced(3).beats is None
    assert Recording("r", 100, ("II",), signal, np.array([5])).sliced(3).beat_symbols == ()
