"""EDF, EDF+ and BDF files, read by ``pyedflib``."""

from pathlib import Path

from ecg.readers.channels import Channel, RecordError, is_ecg, to_recording
from ecg.recording import Recording


def read(path: Path) -> Recording:
    """Read the ECG leads of a continuous EDF file; the leads must share one sampling rate."""
    import pyedflib

    try:
        with pyedflib.EdfReader(str(path)) as file:
            found = []
            for index, label in enumerate(file.getSignalLabels()):
                unit = file.getPhysicalDimension(index)
                if is_ecg(label, unit):
                    found.append((Channel(label, unit, file.readSignal(index)), float(file.getSampleFrequency(index))))
            labels = file.getSignalLabels()
    except Exception as error:
        raise RecordError(f"{path}: {error or type(error).__name__}") from error
    rates = {fs for _, fs in found}
    if not rates:
        raise RecordError(f"{path}: expected an ECG lead, got {', '.join(map(repr, labels)) or 'no channel'}")
    if len(rates) > 1:
        raise RecordError(f"{path}: expected one sampling rate for all leads, got {sorted(rates)}")
    return to_recording(path, rates.pop(), [channel for channel, _ in found])
