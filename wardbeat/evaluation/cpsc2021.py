"""The score of the China Physiological Signal Challenge 2021: which kind of AF, and where each episode begins and ends.

A record's score is U = Ur + Ue, a challenge's is the mean over its records. Written anew after what the committee's
``score_2021.py`` computes (github.com/CPSC-Committee/cpsc2021-python-entry, commit 5826cdb; doi 10.13026/ksya-qw89):

- Ur credits the kind of record, ``KIND_CREDIT[true][told]``. The kind told follows from the endpoints told: none is not
  AF, one from the first sample to the last is persistent, all else is paroxysmal.
- Ue is the credit of all endpoints told, times Ma / max(Ma, Mr), of Ma annotated and Mr told episodes; 0 in records
  without AF. An endpoint within one beat of an annotated one earns 1, within two beats 0.5, where the record's kind and
  ends are taken into account (``_onset_credit``, ``_offset_credit``).

Two traits of the official script are kept, as scores are comparable only so: every annotation counts as a beat, the
rhythm labels, which stand between beats, included; and several told endpoints may earn the same annotated one's credit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Kind(IntEnum):
    """What a record shows; the numbers are the official ones."""

    NOT_AF = 0
    PERSISTENT = 1
    PAROXYSMAL = 2


KIND_CREDIT = ((1.0, -1.0, -0.5), (-2.0, 1.0, 0.0), (-1.0, 0.0, 1.0))  # [true][told]
_COMMENTS = {
    "non atrial fibrillation": Kind.NOT_AF,
    "persistent atrial fibrillation": Kind.PERSISTENT,
    "paroxysmal atrial fibrillation": Kind.PAROXYSMAL,
}
_BEGINS, _ENDS = ("(AFIB", "(AFL"), "(N"  # flutter counts as AF here

Endpoints = Sequence[tuple[int, int]]  # first and last sample of each AF episode told, counted from 0


@dataclass(frozen=True)
class Reference:
    """What is annotated of a record.

    Attributes:
        kind: of the whole record.
        length: its samples.
        marks: (n,) int64 samples of all annotations, beats and rhythm labels, ascending.
        onsets: indices into ``marks`` where AF begins.
        offsets: indices into ``marks`` of the labels at which it has ended.
    """

    kind: Kind
    length: int
    marks: npt.NDArray[np.int64]
    onsets: tuple[int, ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """Of one record.

    Attributes:
        kind: what it shows.
        told: what it was told to show.
        ur: credit for the kind, -2 … 1.
        ue: credit for the endpoints, 0 or more.
    """

    kind: Kind
    told: Kind
    ur: float
    ue: float

    @property
    def u(self) -> float:
        """The record's score, Ur + Ue."""
        return self.ur + self.ue


def reference(marks: npt.ArrayLike, notes: Sequence[str], comments: Sequence[str], length: int) -> Reference:
    """What a record's annotations say.

    Args:
        marks: (n,) samples of all its annotations.
        notes: (n,) their auxiliary notes, "(AFIB", "(AFL" and "(N" where the rhythm changes.
        comments: of its header, one of which is its kind.
        length: its samples.

    Raises:
        ValueError: no comment is a kind, or onsets and offsets do not pair.
    """
    kinds = [_COMMENTS[comment] for comment in comments if comment in _COMMENTS]
    if len(kinds) != 1:
        raise ValueError(f"one comment must be one of {list(_COMMENTS)}: {list(comments)}")
    texts = [note.rstrip("\0") for note in notes]
    onsets = tuple(i for i, text in enumerate(texts) if text in _BEGINS)
    offsets = tuple(i for i, text in enumerate(texts) if text == _ENDS)
    if len(onsets) != len(offsets) or any(a >= b for a, b in zip(onsets, offsets, strict=True)):
        raise ValueError(f"onsets at annotations {onsets} do not pair with offsets at {offsets}")
    return Reference(kinds[0], length, np.asarray(marks, np.int64), onsets, offsets)


def told_kind(endpoints: Endpoints, length: int) -> Kind:
    """The kind of a record of ``length`` samples that the endpoints tell."""
    if not endpoints:
        return Kind.NOT_AF
    if len(endpoints) == 1 and endpoints[0][1] - endpoints[0][0] == length - 1:
        return Kind.PERSISTENT
    return Kind.PAROXYSMAL


def _by_distance(beats: int) -> float:
    return 1.0 if beats <= 1 else 0.5 if beats == 2 else 0.0


def _onset_credit(reference: Reference, onset: int, sample: int) -> float:
    beat = int(np.searchsorted(reference.marks, sample, "right")) - 1  # the last one at or before; -1 before the first
    late = beat - onset
    if late >= 0:
        return _by_distance(late)
    if reference.kind is Kind.PERSISTENT or onset <= 1:
        return 1.0  # nothing earlier could be told
    if onset == 2 and late < -1:
        return 0.5  # before the first beat as well
    return _by_distance(-late)


def _offset_credit(reference: Reference, offset: int, sample: int) -> float:
    beat = int(np.searchsorted(reference.marks, sample, "right")) - 1
    late = beat - (offset - 1)  # the label stands after the last beat of AF
    if late <= 0:
        return _by_distance(-late)
    rest = len(reference.marks) - 1 - offset  # annotations after the label
    if reference.kind is Kind.PERSISTENT or rest <= 1:
        return 1.0
    if rest == 2 and late > 1:
        return 0.5
    return _by_distance(late)


def score(reference: Reference, endpoints: Endpoints) -> Score:
    """Ur and Ue of the AF episodes told of one record.

    Raises:
        ValueError: an endpoint lies outside the record, or an episode ends before it begins.
    """
    for first, last in endpoints:
        if not 0 <= first <= last < reference.length:
            raise ValueError(f"episode ({first}, {last}) does not fit a record of {reference.length} samples")
    told = told_kind(endpoints, reference.length)
    credit = 0.0
    if reference.kind is not Kind.NOT_AF and endpoints:
        credit = sum(
            sum(_onset_credit(reference, onset, first) for onset in reference.onsets)
            + sum(_offset_credit(reference, offset, last) for offset in reference.offsets)
            for first, last in endpoints
        )
        credit *= len(reference.onsets) / max(len(reference.onsets), len(endpoints))
    return Score(reference.kind, told, KIND_CREDIT[reference.kind][told], credit)
