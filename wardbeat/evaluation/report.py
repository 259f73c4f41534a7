"""The results of an evaluation: one tree that goes to JSON and back. Every estimate carries what it was counted on."""

import msgspec

from wardbeat.evaluation.bootstrap import DRAWS, LEVEL, Estimate


class WindowRow(msgspec.Struct, frozen=True):
    """One question put to the windows of one group.

    Attributes:
        database: where the windows come from.
        group: what the table tells apart: a lead set, a number of leads, a signal quality, a model.
        n: windows of known truth, of which
        positives: are truly so.
        subjects: patients, of whom
        positive_subjects: have any positive window.
        metrics: by the names of ``metrics.METRICS``.
    """

    database: str
    group: str
    n: int
    positives: int
    subjects: int
    positive_subjects: int
    metrics: dict[str, Estimate]


class WindowTable(msgspec.Struct, frozen=True):
    """Rows that differ in one respect.

    Attributes:
        title: of the table.
        question: what positive means, such as "AF against all else".
        by: what ``group`` is, such as "leads".
        rows: of the table.
    """

    title: str
    question: str
    by: str
    rows: tuple[WindowRow, ...]


class Mean(msgspec.Struct, frozen=True):
    """A mean over the ``records`` that define it; None if none does."""

    value: float | None
    records: int


class Timing(msgspec.Struct, frozen=True):
    """Medians over onsets, offsets or alarms.

    Attributes:
        median: its ``n`` is how many went into it: of errors, those that were told; of delays, all of them.
        of: how many could have.
    """

    median: Estimate
    of: int


class EpisodeRow(msgspec.Struct, frozen=True):
    """EC57 figures, burden and timing of AF, or of flutter, of one database by one reading of the evidence.

    Attributes:
        database: where the records come from.
        group: the reading, such as "burden" or "alarm".
        records: how many.
        subjects: patients in them.
        hours: judged.
        reference_episodes: annotated.
        told_episodes: told.
        gross: episode and duration sensitivity and ppv, all records pooled.
        average: the same, each record weighing the same.
        burden_error: absolute, mean over records, as a share of the time.
        burden_bias: signed, pooled; positive where too much was told.
        timing: "onset_beats", "onset_s", "offset_beats", "offset_s" (absolute errors of those told) and
            "provisional_s", "confirmed_s" (delays; missed episodes count as infinite).
    """

    database: str
    group: str
    records: int
    subjects: int
    hours: float
    reference_episodes: int
    told_episodes: int
    gross: dict[str, Estimate]
    average: dict[str, Mean]
    burden_error: Estimate
    burden_bias: Estimate
    timing: dict[str, Timing]


class FalseAlarmRow(msgspec.Struct, frozen=True):
    """AF alarms where there is no AF, of records alike; or flutter alarms where there is no flutter.

    Attributes:
        database: where the records come from.
        group: what they have in common: sinus arrhythmia, PACs, bigeminy, sick sinus, pacing, flutter, noise.
        records: how many.
        subjects: patients in them.
        bed_days: judged time without AF (flutter), in days.
        alarms: all of AF (flutter), of which
        false: overlap none that is annotated, of which
        false_confirmed: were confirmed.
        per_bed_day: false ones a day.
    """

    database: str
    group: str
    records: int
    subjects: int
    bed_days: float
    alarms: int
    false: int
    false_confirmed: int
    per_bed_day: Estimate


class CauseRow(msgspec.Struct, frozen=True):
    """What was said of what is easily taken for AF.

    Attributes:
        cause: such as "flutter"; see ``causes.CAUSES``.
        database: where it occurs.
        unit: what is counted: "records" that a label holds for, or "windows" of 10 s.
        n: how many, all without AF unless ``af``, of which
        called: the share that was called AF at the fixed threshold.
        subjects: patients.
        hours: annotated as such and without AF; 0 where labels hold for whole records.
        false: false AF alarms that touch these hours, of which
        confirmed: were confirmed.
        af: it is AF, and has to be called so.
    """

    cause: str
    database: str
    unit: str
    n: int
    called: Estimate
    subjects: int
    hours: float = 0.0
    false: int = 0
    confirmed: int = 0
    af: bool = False


class CoverageRow(msgspec.Struct, frozen=True):
    """Prediction sets of windows whose one rhythm is known.

    Attributes:
        database: where they come from.
        rhythm: the one that is true.
        n: windows, or records that a label holds for.
        subjects: patients.
        covered: share of the windows whose set holds it; each patient counts once.
        by_window: the same, each window counting once.
        size: mean number of rhythms in the set.
    """

    database: str
    rhythm: str
    n: int
    subjects: int
    covered: Estimate
    by_window: float
    size: float


class NetworkRow(msgspec.Struct, frozen=True):
    """Who judged a database.

    Attributes:
        database: its name.
        model: hash of the network; empty where nobody judged.
        left_out: what that network left out.
        seen: what it had seen of the database.
        unlabelled: what it had of the database besides, without labels; empty where nothing.
        recipe: hash of how the network was trained, but for who was left out: alike in networks trained alike.
        records: judged, of
        of: as many.
        subjects: patients judged.
    """

    database: str
    model: str
    left_out: tuple[str, ...]
    seen: str
    records: int
    of: int
    subjects: int
    recipe: str = ""
    unlabelled: str = ""


class ChallengeRow(msgspec.Struct, frozen=True):
    """The CPSC2021 score of some records.

    Attributes:
        group: which.
        records: how many.
        subjects: patients in them.
        u: mean of ``ur`` + ``ue``.
        ur: mean credit for the record's kind.
        ue: mean credit for endpoints.
        kinds: records by [true][told] kind: not AF, persistent, paroxysmal.
    """

    group: str
    records: int
    subjects: int
    u: Estimate
    ur: Estimate
    ue: Estimate
    kinds: tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


class Report(msgspec.Struct, frozen=True):
    """All that an evaluation found.

    Attributes:
        title: of the report.
        model: hash of the weights.
        protocol: what the network had seen of these patients and databases; one sentence.
        windows: tables over windows.
        episodes: one row a database and reading.
        false_alarms: of AF, one row a group of records.
        flutter_episodes: as ``episodes``, of flutter.
        false_flutter: flutter alarms outside annotated flutter, one row a database.
        cpsc2021: rows of the challenge's score.
        causes: what is easily taken for AF, one by one.
        coverage: of the prediction sets.
        networks: which network judged which database.
        notes: what a reader has to know, such as what fell short and why.
        draws: of the bootstrap.
        level: of the intervals.
        seed: of the draws.
    """

    title: str
    model: str
    protocol: str
    windows: tuple[WindowTable, ...] = ()
    episodes: tuple[EpisodeRow, ...] = ()
    false_alarms: tuple[FalseAlarmRow, ...] = ()
    flutter_episodes: tuple[EpisodeRow, ...] = ()
    false_flutter: tuple[FalseAlarmRow, ...] = ()
    cpsc2021: tuple[ChallengeRow, ...] = ()
    causes: tuple[CauseRow, ...] = ()
    coverage: tuple[CoverageRow, ...] = ()
    networks: tuple[NetworkRow, ...] = ()
    notes: tuple[str, ...] = ()
    draws: int = DRAWS
    level: float = LEVEL
    seed: int = 0


def to_json(report: Report) -> bytes:
    """UTF-8 JSON, indented; what is undefined is null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def from_json(data: bytes) -> Report:
    """What ``to_json`` wrote.

    Raises:
        msgspec.ValidationError: it is not a report, or holds a number without what it was counted on.
    """
    return msgspec.json.decode(data, type=Report)
