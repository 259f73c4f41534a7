"""DICOM waveforms (12-lead ECG, general ECG, ambulatory ECG), read by ``pydicom``."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from ecg.leads import LEADS, standard_lead
from ecg.readers.channels import Channel, RecordError, to_recording
from ecg.recording import Recording

# SCP-ECG's lead numbers (EN 1064), which DICOM's context group 3001 writes as "5.6.3-9-N".
_SCP_LEADS = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"} | {n: LEADS[n + 3] for n in range(3, 9)}


def is_dicom(path: Path) -> bool:
    """Whether the file bears DICOM's mark (PS3.10: ``DICM`` after 128 bytes), whatever it is called."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read(path: Path) -> Recording:
    """Read the multiplex group with the most ECG samples (the rhythm strip rather than a median beat).

    A value is ``sample × sensitivity × correction factor + baseline`` in the sensitivity's unit (PS3.3 C.10.9.1.4.2);
    the group's padding value is NaN.
    """
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        groups = [_group(dataset, index) for index in range(len(dataset.get("WaveformSequence", [])))]
    except Exception as error:
        raise RecordError(f"{path}: {error or type(error).__name__}") from error
    if not groups:
        raise RecordError(f"{path}: expected a waveform, got none")
    fs, channels = max(groups, key=lambda group: sum(len(c.samples) for c in group[1] if standard_lead(c.name)))
    return to_recording(path, fs, channels)


def _group(dataset: Any, index: int) -> tuple[float, list[Channel]]:
    from pydicom.waveforms.numpy_handler import multiplex_array

    group = dataset.WaveformSequence[index]
    raw = multiplex_array(dataset, index, as_raw=True).astype(np.float64)  # (n, channels)
    if "WaveformPaddingValue" in group:
        padding = group.WaveformPaddingValue
        if isinstance(padding, bytes):
            padding = np.frombuffer(padding, dtype="<i2")[0]
        raw[raw == float(padding)] = np.nan
    channels = []
    for column, definition in enumerate(group.ChannelDefinitionSequence):
        scale = float(definition.get("ChannelSensitivity", 1) or 1)
        scale *= float(definition.get("ChannelSensitivityCorrectionFactor", 1) or 1)
        baseline = float(definition.get("ChannelBaseline", 0) or 0)
        units = definition.get("ChannelSensitivityUnitsSequence", [])
        unit = str(units[0].CodeValue) if units else ""
        channels.append(Channel(_lead_name(definition), unit, raw[:, column] * scale + baseline))
    return float(group.SamplingFrequency), channels


def _lead_name(definition: Any) -> str:
    sources = definition.get("ChannelSourceSequence", [])
    if not sources:
        return str(definition.get("ChannelLabel", ""))
    scp = re.fullmatch(r"5\.6\.3-9-(\d+)", str(sources[0].get("CodeValue", "")))
    if scp and int(scp[1]) in _SCP_LEADS:
        return _SCP_LEADS[int(scp[1])]
    meaning = str(sources[0].get("CodeMeaning", ""))
    return re.sub(r"\(.*?\)", "", meaning.removeprefix("MDC_ECG_LEAD_").removeprefix("MDC_ECG_ELEC_POTL_")).strip()
