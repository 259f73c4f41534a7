"""``wardbeat simulate`` and ``wardbeat replay``: patients into the ward."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track

from ecg.chunk import Chunk
from ecg.readers import find_records, read_recording
from ecg.synthetic import Script, SyntheticPatient
from ecg.writer import write_record
from stream.engine import Source
from stream.feed import feed
from stream.offline import uv_per_bit
from wardbeat.settings import Settings

CHUNK_S = 0.2  # what a bedside monitor sends at a time
DEFAULT_SCRIPT = "sinus 60s, af 90s, sinus 60s"


def open_source(settings: Settings) -> Source:
    """The way into the log that the settings name."""
    if settings.engine == "kafka":
        from stream.kafka.feeder import KafkaFeeder

        return KafkaFeeder(settings.kafka)
    from stream.embedded.feeder import EmbeddedFeeder

    return EmbeddedFeeder(settings.redis, settings.prefix)


def now_ms() -> int:
    """Unix milliseconds: an epoch that begins now."""
    return int(time.time() * 1000)


def beginnings(monitors: int) -> list[int]:
    """Epochs of monitors that begin now, each at a moment of its own within a second: none knows of the others."""
    now = now_ms()
    moments = random.Random(monitors)
    return [now + moments.randrange(1000) for _ in range(monitors)]


def patient_chunks(patient: SyntheticPatient, bed: str, epoch: int, *, seconds: float | None = None) -> Iterator[Chunk]:
    """The patient as a monitor sends them, chunk by chunk; ``seconds`` cuts a looping script."""
    step = round(CHUNK_S * patient.fs)
    total = None if patient.loop else patient.n_samples
    if seconds is not None:
        total = round(seconds * patient.fs)
    seq = 0
    first = 0
    while total is None or first < total:
        n = step if total is None else min(step, total - first)
        counts = patient.render(first, n)
        yield Chunk(
            bed=bed,
            epoch=epoch,
            seq=seq,
            first_sample=first,
            fs=patient.fs,
            leads=patient.leads,
            uv_per_bit=patient.uv_per_bit,
            sent_at=epoch + 1000.0 * (first + n) / patient.fs,
            samples=counts.tobytes(),
            final=total is not None and first + n == total,
        )
        seq += 1
        first += n


def simulate(
    settings: Settings,
    beds: int,
    script: str | None,
    out: Path | None,
    seed: int,
    speed: float | None,
    loop: bool,
    console: Console,
) -> None:
    """Synthetic patients into the ward, or into WFDB records under ``out``."""
    parsed = Script.parse(script or DEFAULT_SCRIPT)
    if out is not None:
        for number in track(range(beds), description="writing", console=console, transient=True):
            path = out if beds == 1 else out.with_name(f"{out.name}-{number + 1:02d}")
            path.parent.mkdir(parents=True, exist_ok=True)
            patient = SyntheticPatient(parsed, seed + number)
            offs = [(off.lead, off.first, off.end) for off in patient.leads_off]
            write_record(patient.recording(), path, lead_offs=offs, uv_per_bit=patient.uv_per_bit)
            console.print(f"{path}.hea", highlight=False)
        return
    monitors = [
        patient_chunks(SyntheticPatient(parsed, seed + number, loop=loop), f"bed-{number + 1:02d}", epoch)
        for number, epoch in enumerate(beginnings(beds))
    ]
    _feed(settings, monitors, speed, console)


def replay(settings: Settings, paths: list[Path], speed: float | None, start_s: float, console: Console) -> None:
    """Recordings into the ward, each from second ``start_s`` of it.

    Raises:
        ValueError: a recording is not that long; quotes it.
    """
    monitors = []
    for path in find_records(paths):
        recording = read_recording(path)
        if start_s >= recording.seconds:
            raise ValueError(f"{path} is {recording.seconds:g} s long: nothing of it is after second {start_s:g}")
        recording = recording.sliced(round(start_s * recording.fs))
        step = uv_per_bit(recording)
        monitors.append(recording.chunks(path.stem, epoch=now_ms(), seconds=CHUNK_S, uv_per_bit=step))
        console.print(f"{path.stem}: {', '.join(recording.leads)}, {recording.seconds:.0f} s", highlight=False)
    _feed(settings, monitors, speed, console)


def _feed(settings: Settings, monitors: list[Iterator[Chunk]], speed: float | None, console: Console) -> None:
    source = open_source(settings)
    try:
        counts = feed(monitors, source, speed=speed)
    finally:
        source.close()
    console.print(f"{counts.chunks} chunks, {counts.seconds:.0f} bed-seconds", highlight=False)
