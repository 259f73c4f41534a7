"""The CPSC2021 score, by hand from the official script's definitions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardbeat.evaluation.cpsc2021 import Kind, Reference, reference, score, told_kind

MARKS = np.arange(100, 5100, 100)  # 50 annotations, the i-th at sample 100 (i + 1)
PAROXYSMAL = Reference(Kind.PAROXYSMAL, 5200, MARKS, onsets=(10,), offsets=(30,))  # AF from 1100 to the label at 3100
PERSISTENT = Reference(Kind.PERSISTENT, 5200, MARKS, onsets=(0,), offsets=(49,))
NOT_AF = Reference(Kind.NOT_AF, 5200, MARKS, onsets=(), offsets=())


@pytest.mark.parametrize(
    ("onset", "credit"),
    [(899, 0), (900, 0.5), (999, 0.5), (1000, 1), (1100, 1), (1299, 1), (1300, 0.5), (1399, 0.5), (1400, 0)],
)
def test_onset_credit_by_beats(onset: int, credit: float) -> None:
    """From the annotation before up to the second after, exclusive: 1; one more on both sides: a half."""
    assert score(PAROXYSMAL, [(onset, 4900)]).ue == credit


@pytest.mark.parametrize(
    ("offset", "credit"),
    [(2799, 0), (2800, 0.5), (2899, 0.5), (2900, 1), (3199, 1), (3200, 0.5), (3299, 0.5), (3300, 0)],
)
def test_offset_credit_by_beats(offset: int, credit: float) -> None:
    """Around the last annotation before the label that ends the episode."""
    assert score(PAROXYSMAL, [(0, offset)]).ue == credit


@pytest.mark.parametrize(
    ("reference", "endpoints", "ur"),
    [
        (NOT_AF, [], 1),
        (NOT_AF, [(0, 5199)], -1),
        (NOT_AF, [(10, 600)], -0.5),
        (PERSISTENT, [], -2),
        (PERSISTENT, [(0, 5199)], 1),
        (PERSISTENT, [(0, 5198)], 0),
        (PAROXYSMAL, [], -1),
        (PAROXYSMAL, [(0, 5199)], 0),
        (PAROXYSMAL, [(0, 5000)], 1),
        (PAROXYSMAL, [(0, 2000), (2500, 5199)], 1),
    ],
)
def test_kind_credit(reference: Reference, endpoints: list[tuple[int, int]], ur: float) -> None:
    """All nine cells of the matrix; only one episode from the first to the last sample is persistent AF."""
    assert score(reference, endpoints).ur == ur


def test_a_perfect_answer() -> None:
    """Each kind's best: 1 without AF, 3 with one episode, 5 with two."""
    assert score(NOT_AF, []).u == 1
    assert score(PERSISTENT, [(0, 5199)]).u == 3
    assert score(PAROXYSMAL, [(1100, 3099)]).u == 3
    two = Reference(Kind.PAROXYSMAL, 5200, MARKS, (10, 40), (30, 46))
    assert score(two, [(1100, 3099), (4100, 4699)]).u == 5


def test_too_many_episodes_share_the_credit() -> None:
    """Ma / max(Ma, Mr): one right of three told earns a third; one of two annotated earns its own."""
    assert score(PAROXYSMAL, [(1100, 3099), (3500, 3900), (4300, 4600)]).ue == pytest.approx(2 / 3)
    two = Reference(Kind.PAROXYSMAL, 5200, MARKS, (10, 40), (30, 46))
    assert score(two, [(1100, 3099)]).ue == 2


def test_the_ends_of_a_record() -> None:
    """Before an onset at the start, and after an offset at the end, nothing else could have been told."""
    early = Reference(Kind.PAROXYSMAL, 5200, MARKS, (1,), (20,))
    assert score(early, [(0, 4900)]).ue == 1
    third = Reference(Kind.PAROXYSMAL, 5200, MARKS, (2,), (20,))
    assert [score(third, [(onset, 4900)]).ue for onset in (0, 150, 200)] == [0.5, 0.5, 1]
    late = Reference(Kind.PAROXYSMAL, 5200, MARKS, (10,), (48,))
    assert score(late, [(0, 5198)]).ue == 1
    second_last = Reference(Kind.PAROXYSMAL, 5200, MARKS, (10,), (47,))
    assert [score(second_last, [(0, offset)]).ue for offset in (4899, 4900, 5198)] == [1, 0.5, 0.5]


def test_persistent_af_has_open_ends() -> None:
    """An onset up to two annotations late and an offset up to one early earn all."""
    assert [score(PERSISTENT, [(onset, 3000)]).ue for onset in (0, 299, 300, 399, 400)] == [1, 1, 0.5, 0.5, 0]
    assert [score(PERSISTENT, [(3000, offset)]).ue for offset in (4699, 4700, 4799, 4800, 5199)] == [0, 0.5, 0.5, 1, 1]


@given(
    st.sampled_from([NOT_AF, PERSISTENT, PAROXYSMAL]),
    st.lists(st.tuples(st.integers(0, 5199), st.integers(0, 5199)).map(lambda p: (min(p), max(p))), max_size=5),
)
def test_no_answer_beats_the_perfect_one(reference: Reference, endpoints: list[tuple[int, int]]) -> None:
    """Nothing told earns more than the truth, and without AF endpoints earn nothing."""
    found = score(reference, endpoints)
    assert found.told is told_kind(endpoints, reference.length)
    assert -2 <= found.u <= (1 if reference is NOT_AF else 3)
    assert 0 <= found.ue <= 2


def test_reference_from_annotations() -> None:
    """Flutter counts as AF, notes may end in NUL, and a record without a kind or a pair is refused."""
    notes = ["", "(AFL\0", "", "(N", "(AFIB", "(N"]
    found = reference(MARKS[:6], notes, ["x", "paroxysmal atrial fibrillation"], 700)
    assert (found.kind, found.onsets, found.offsets) == (Kind.PAROXYSMAL, (1, 4), (3, 5))
    with pytest.raises(ValueError, match="one comment"):
        reference(MARKS[:6], notes, ["atrial fibrillation"], 700)
    with pytest.raises(ValueError, match="do not pair"):
        reference(MARKS[:6], notes[:5], ["paroxysmal atrial fibrillation"], 700)


def test_endpoints_outside_the_record_are_refused() -> None:
    """The official script would fail there, or count from the end."""
    for episode in ((-1, 10), (10, 5200), (20, 10)):
        with pytest.raises(ValueError, match="does not fit"):
            score(PAROXYSMAL, [episode])


def test_the_truth_of_real_records_earns_all(data: Path) -> None:
    """The committee's own annotation files are understood: their truth earns 1 plus 2 for each episode."""
    import wfdb

    records = sorted((data / "cpsc2021").glob("*.hea"))
    earned, possible = [], []
    for path in records:
        header, notes = wfdb.rdheader(str(path.with_suffix(""))), wfdb.rdann(str(path.with_suffix("")), "atr")
        truth = reference(notes.sample, notes.aux_note, header.comments, header.sig_len)
        at = np.minimum(truth.marks, header.sig_len - 1)  # a label at the end stands one past the last sample
        ends = [(int(at[a]), int(at[b])) for a, b in zip(truth.onsets, truth.offsets, strict=True)]
        if truth.kind is Kind.PERSISTENT:
            ends = [(0, header.sig_len - 1)]
        earned.append(score(truth, ends).u)
        possible.append(1 + 2 * len(truth.onsets))
    assert len(records) == 19
    assert earned == possible
