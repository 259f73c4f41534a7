"""The fusion of overlapping windows into one evidence per half second."""

import msgspec
import pytest

from alarms.evidence import BIN, KEPT, Evidence
from tests.alarms.findings import finding


def at(evidence: Evidence, index: int) -> float | None:
    """Evidence of AF in one bin; None where nothing is judged."""
    return dict(evidence.series("af", index, index + 1)).get(index)


def test_a_half_second_has_the_mean_of_what_every_window_says_of_it() -> None:
    """Fusing must neither lose a window nor count one twice."""
    evidence = Evidence()
    evidence.add(finding(10, af_evidence=(0.2,) * 10))
    evidence.add(finding(11, af_evidence=(0.6,) * 10))
    assert at(evidence, 0) == pytest.approx(0.2)  # second 0: the first window alone
    assert at(evidence, 2) == pytest.approx(0.4)  # second 1: both
    assert at(evidence, 21) == pytest.approx(0.6)  # second 10: the second window alone
    assert at(evidence, 22) is None
    assert evidence.final == 2  # no later window reaches back to second 0


def test_hindsight_replaces_what_was_said_without_it() -> None:
    """Windows that end just after a change do not know the new rhythm yet: their word must not outlast better ones."""
    evidence = Evidence()
    evidence.add(finding(10, af_evidence=(0.2,) * 10))
    evidence.add(finding(13, af_evidence=(0.6,) * 10))
    evidence.add(finding(14, af_evidence=(0.8,) * 10))
    assert at(evidence, 8) == pytest.approx((0.2 + 0.6 + 0.8) / 3)  # second 4: each had seen what came after
    assert at(evidence, 10) == pytest.approx((0.6 + 0.8) / 2)  # second 5: all but the first had
    assert at(evidence, 16) == pytest.approx(0.8)  # second 8: the last one had
    assert at(evidence, 18) == pytest.approx((0.2 + 0.6 + 0.8) / 3)  # second 9: nobody had, all speak


@pytest.mark.parametrize("hop_s", [0.5, 0.7, 1.0, 2.4, 5.0])
def test_any_hop_ends_with_hindsight_alone(hop_s: float) -> None:
    """A change must be seen at the same place whatever the hop: the newest half of each window here is wrong."""
    evidence = Evidence()
    for step in range(60):
        evidence.add(finding(10 + step * hop_s, af_evidence=(0.0,) * 5 + (1.0,) * 5))
    final = [at(evidence, index) for index in range(evidence.first + 20, evidence.final)]
    assert final == [0.0] * len(final)
    assert at(evidence, evidence.stop - 1) == 1.0


def test_each_second_of_a_window_goes_to_its_place() -> None:
    """The ten probabilities are oldest first; a hop of half a second shifts them by one bin."""
    evidence = Evidence()
    evidence.add(finding(10.5, af_evidence=tuple(second / 10 for second in range(10))))
    assert evidence.first == 1
    assert [at(evidence, index) for index in range(1, 21)] == [second / 10 for second in range(10) for _ in "ab"]


@pytest.mark.parametrize("hop_s", [0.5, 0.7, 1.0, 2.4, 5.0])
def test_any_hop_covers_every_bin(hop_s: float) -> None:
    """A bin that fell between two windows would be time that nobody analysed."""
    evidence = Evidence()
    for step in range(60):
        evidence.add(finding(10 + step * hop_s, af_evidence=(1.0,) * 10))
    values = [at(evidence, index) for index in range(evidence.first, evidence.stop)]
    assert values == [1.0] * len(values)
    assert abs(evidence.stop * BIN - evidence.end) <= BIN


def test_what_was_not_judged_gives_nothing() -> None:
    """A window that is unusable, missing, without a network or full of noise must not count as AF-free."""
    evidence = Evidence()
    evidence.add(finding(10, usable=False, af_evidence=(1.0,) * 10))
    evidence.add(finding(20))
    evidence.add(finding(40, af_evidence=(1.0,) * 10, noise_evidence=(0.9,) * 5 + (0.1,) * 5))
    assert [evidence.judged(index) for index in (0, 25, 45, 60, 69, 70, 79)] == [False] * 5 + [True] * 2
    assert evidence.mean("af", 0, 80) == (1.0, 10)
    assert evidence.mean("af", 0, 20) == (0.0, 0)


def test_the_memory_is_bounded() -> None:
    """A day of findings must not make a checkpoint of a day."""
    evidence = Evidence()
    for second in range(10, 1000):
        evidence.add(finding(second, af_evidence=(0.977,) * 10, flutter_evidence=(0.01,) * 10))
    assert evidence.stop - evidence.first == KEPT
    assert len(msgspec.msgpack.encode(evidence)) < 3000


@pytest.mark.parametrize("values", [(0.5,) * 9, (0.5,) * 9 + (1.2,), (float("nan"),) * 10])
def test_evidence_that_makes_no_sense_is_refused(values: tuple[float, ...]) -> None:
    """It is quoted, and nothing of its window is remembered."""
    evidence = Evidence()
    with pytest.raises(ValueError, match="af_evidence"):
        evidence.add(finding(10, af_evidence=values))
    assert evidence == Evidence()


def test_a_window_that_is_not_later_is_refused() -> None:
    """A replayed finding would count twice."""
    evidence = Evidence()
    evidence.add(finding(10, af_evidence=(0.2,) * 10))
    with pytest.raises(ValueError, match="5000"):
        evidence.add(finding(10, af_evidence=(0.2,) * 10))
