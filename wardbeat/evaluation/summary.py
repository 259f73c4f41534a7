"""Rows of the report from what was judged: the one place where metrics, episodes and intervals by patient meet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wardbeat.evaluation import cpsc2021, report
from wardbeat.evaluation.bootstrap import DRAWS, LEVEL, Estimate, estimate, estimate_metric
from wardbeat.evaluation.episodes import Alarm, Comparison, Record, average, compare, false_alarms, gross
from wardbeat.evaluation.metrics import METRICS, Floats, weighted_median
from wardbeat.evaluation.timing import Change, Delay, delays, offset_changes, onset_changes

_RATIOS = {  # the counts that make each of EC57's figures
    "episode_sensitivity": ("detected_episodes", "reference_episodes"),
    "episode_ppv": ("true_episodes", "told_episodes"),
    "duration_sensitivity": ("detected_s", "reference_s"),
    "duration_ppv": ("true_s", "told_s"),
}


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn.

    Attributes:
        draws: how often patients are drawn.
        level: share of the draws within the interval, 0 … 1.
        seed: of the draws.
    """

    draws: int = DRAWS
    level: float = LEVEL
    seed: int = 0

    def __call__(self, statistic: Callable[[Floats], float], subjects: Sequence[str], n: int | None = None) -> Estimate:
        """``bootstrap.estimate`` with these draws.

        Args:
            statistic: takes the weight (rows,) float64 of each row; NaN where undefined.
            subjects: (rows,) the patient of each row.
            n: what the number was counted on; the number of rows where left out.

        Raises:
            ValueError: fewer than one draw, or a level outside 0 … 1.
        """
        return estimate(statistic, subjects, n=n, draws=self.draws, level=self.level, seed=self.seed)


def window_row(
    database: str,
    group: str,
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    subjects: Sequence[str] | npt.NDArray[np.str_],
    draws: Draws = Draws(),
    metrics: Sequence[str] = tuple(METRICS),
) -> report.WindowRow:
    """Metrics of windows: truth (n,) 0, 1 or NaN, score (n,) probabilities, subjects (n,)."""
    y, who = np.asarray(truth, np.float64), np.asarray(subjects, dtype=np.str_)
    if y.shape != who.shape:
        raise ValueError(f"truth and subjects must be alike (n,): {y.shape}, {who.shape}")
    known = ~np.isnan(y)
    return report.WindowRow(
        database,
        group,
        n=int(known.sum()),
        positives=int((y == 1).sum()),
        subjects=len(np.unique(who[known])),
        positive_subjects=len(np.unique(who[y == 1])),
        metrics={
            name: estimate_metric(METRICS[name], y, score, who, draws=draws.draws, level=draws.level, seed=draws.seed)
            for name in metrics
        },
    )


def _pooled(part: Floats, whole: Floats) -> Callable[[Floats], float]:
    def statistic(weight: Floats) -> float:
        total = float(weight @ whole)
        return float(weight @ part) / total if total > 0 else float("nan")

    return statistic


def _column(comparisons: Sequence[Comparison], name: str) -> Floats:
    return np.array([getattr(comparison, name) for comparison in comparisons], np.float64)


def episode_row(
    database: str,
    group: str,
    records: Sequence[Record],
    r_peaks: Mapping[str, npt.NDArray[np.int64]],
    alarms: Mapping[str, Sequence[Alarm]],
    draws: Draws = Draws(),
    shortest_alarmed_s: float = 0.0,
) -> report.EpisodeRow:
    """EC57 figures, burden and timing of records.

    Args:
        database: their name.
        group: the reading of the evidence.
        records: annotated and told.
        r_peaks: of each record by its name, in its samples.
        alarms: of each record by its name.
        draws: of the intervals.
        shortest_alarmed_s: shorter annotated episodes do not count in the delays: no alarm is due for them.

    Raises:
        ValueError: two records have the same name, or one lacks R peaks or alarms.
    """
    names = [record.name for record in records]
    if len(set(names)) != len(names):
        raise ValueError(f"record names are not unique: {sorted(name for name in names if names.count(name) > 1)}")
    if missing := sorted((set(names) - set(r_peaks)) | (set(names) - set(alarms))):
        raise ValueError(f"no R peaks or no alarms (an empty list is fine) of {missing}")
    comparisons = [compare(record) for record in records]
    who = [record.subject for record in records]
    pooled = gross(comparisons)
    judged = _column(comparisons, "judged_s")
    excess = _column(comparisons, "called_af_s") - _column(comparisons, "af_s")
    has_time = judged > 0
    errors, ones = np.abs(excess[has_time] / judged[has_time]), np.ones(int(has_time.sum()))
    onsets = [change for record in records for change in onset_changes(record, r_peaks[record.name])]
    offsets = [change for record in records for change in offset_changes(record, r_peaks[record.name])]
    late = [delay for record in records for delay in delays(record, alarms[record.name], shortest_alarmed_s)]
    return report.EpisodeRow(
        database,
        group,
        records=len(records),
        subjects=len(set(who)),
        hours=pooled.judged_s / 3600,
        reference_episodes=pooled.reference_episodes,
        told_episodes=pooled.told_episodes,
        gross={
            name: draws(
                _pooled(_column(comparisons, part), _column(comparisons, whole)),
                who,
                n=getattr(pooled, whole) if whole.endswith("_episodes") else len(records),
            )
            for name, (part, whole) in _RATIOS.items()
        },
        average={name: _mean(comparisons, name) for name in _RATIOS},
        burden_error=draws(_pooled(errors, ones), [who[i] for i in np.flatnonzero(has_time)]),
        burden_bias=draws(_pooled(excess, judged), who),
        timing={
            "onset_beats": _errors(onsets, "beats", draws),
            "onset_s": _errors(onsets, "seconds", draws),
            "offset_beats": _errors(offsets, "beats", draws),
            "offset_s": _errors(offsets, "seconds", draws),
            "provisional_s": _delays(late, "provisional_s", draws),
            "confirmed_s": _delays(late, "confirmed_s", draws),
        },
    )


def _mean(comparisons: Sequence[Comparison], name: str) -> report.Mean:
    mean = average(comparisons, name)
    return report.Mean(mean.value if mean.records else None, mean.records)


def _errors(changes: Sequence[Change], unit: str, draws: Draws) -> report.Timing:
    told = [change for change in changes if getattr(change, unit) is not None]
    values = np.array([abs(getattr(change, unit)) for change in told], np.float64)
    median = draws(lambda weight: weighted_median(values, weight), [change.subject for change in told])
    return report.Timing(median, of=len(changes))


def _delays(late: Sequence[Delay], phase: str, draws: Draws) -> report.Timing:
    values = np.array([getattr(delay, phase) for delay in late], np.float64)
    median = draws(lambda weight: weighted_median(values, weight), [delay.subject for delay in late])
    return report.Timing(median, of=len(late))


def false_alarm_row(
    database: str,
    group: str,
    records: Sequence[Record],
    alarms: Mapping[str, Sequence[Alarm]],
    draws: Draws = Draws(),
) -> report.FalseAlarmRow:
    """Alarms of records, by name, in time without what they tell: the records' reference is AF, or flutter.

    Draws of patients without any false alarm say nothing of how many there might be: then the bounds are the exact ones
    of a Poisson rate (Garwood 1936), 0 and -ln((1 - level) / 2) a judged day.
    """
    counts = [false_alarms(record, alarms[record.name]) for record in records]
    who = [record.subject for record in records]
    false = np.array([count.false for count in counts], np.float64)
    days = np.array([count.bed_days for count in counts], np.float64)
    rate = draws(_pooled(false, days), who)
    if not false.any() and days.sum() > 0:
        high = float(-np.log((1 - draws.level) / 2) / days.sum())
        rate = Estimate(0.0, 0.0, high, rate.n, rate.subjects)
    return report.FalseAlarmRow(
        database,
        group,
        records=len(records),
        subjects=len(set(who)),
        bed_days=float(days.sum()),
        alarms=sum(count.alarms for count in counts),
        false=int(false.sum()),
        false_confirmed=sum(count.false_confirmed for count in counts),
        per_bed_day=rate,
    )


def challenge_row(
    group: str, scores: Sequence[cpsc2021.Score], subjects: Sequence[str], draws: Draws = Draws()
) -> report.ChallengeRow:
    """The CPSC2021 score of records."""
    ones = np.ones(len(scores))
    ur, ue = (np.array([getattr(score, part) for score in scores], np.float64) for part in ("ur", "ue"))
    kinds = np.zeros((3, 3), np.int64)
    for score in scores:
        kinds[score.kind, score.told] += 1
    not_af, persistent, paroxysmal = ((int(row[0]), int(row[1]), int(row[2])) for row in kinds)
    return report.ChallengeRow(
        group,
        records=len(scores),
        subjects=len(set(subjects)),
        u=draws(_pooled(ur + ue, ones), subjects),
        ur=draws(_pooled(ur, ones), subjects),
        ue=draws(_pooled(ue, ones), subjects),
        kinds=(not_af, persistent, paroxysmal),
    )
