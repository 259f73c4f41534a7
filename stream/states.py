"""How beds and workers stand now, as they are kept in the store for the screen."""

import msgspec


class BedState(msgspec.Struct, frozen=True, kw_only=True):
    """One bed as the worker that owns it sees it, written about once a second.

    Attributes:
        bed: the bed.
        epoch: Unix milliseconds of sample 0.
        sample: analysis sample index (500 Hz) after the newest processed sample.
        hr_bpm: heart rate now; None where it cannot be told.
        usable: there is signal enough to judge by.
        quality: state of each expected lead: good, noisy, saturated, flat, off or missing.
        leads: names of the leads that the monitor sends.
        limits: alarm limits in force, by name, in beats per minute.
        received_at: Unix milliseconds at which the log took the newest processed chunk, by the log's clock.
        processed_at: Unix milliseconds at which that chunk was processed, by the worker's clock.
        model: what judges: ``beats-1`` or the hash of the weights.
        worker: the worker that wrote this; empty if it did not say.
    """

    bed: str
    epoch: int
    sample: int
    hr_bpm: float | None
    usable: bool
    quality: dict[str, str]
    leads: tuple[str, ...]
    limits: dict[str, float]
    received_at: float
    processed_at: float
    model: str
    worker: str = ""


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's heartbeat, written once a second.

    Attributes:
        worker: its name, the same after a restart.
        engine: ``kafka`` or ``embedded``.
        at: Unix milliseconds of the heartbeat, by the worker's clock.
        partitions: the parts of the log that it owns.
        beds: how many beds it has seen in them.
        backlog_s: age of the newest chunk that it processed while others wait; 0 when none waits.
        counters: events since it started, by name: chunks, findings, alarms, deadletters, duplicates, late …
    """

    worker: str
    engine: str
    at: float
    partitions: tuple[int, ...]
    beds: int
    backlog_s: float
    counters: dict[str, int]
