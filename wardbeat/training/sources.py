"""Where the recordings come from and under which licence, for the model card."""

from typing import NamedTuple


class Source(NamedTuple):
    """What it is, whose, and its licence as published or as far as known."""

    what: str
    reference: str
    licence: str


_ODC, _CC = "ODC-BY 1.0", "CC BY 4.0"
_PTBXL = "PTB-XL 1.0.3, Wagner et al. 2020, 10.13026/kfzx-aw45"
_CINC2021 = "PhysioNet/CinC Challenges 2020 and 2021, Perez Alday et al. 2020, Reyna et al. 2021"

SOURCES = {
    "afdb_rr": Source(
        "beats and rhythm of ambulatory recordings with mostly paroxysmal AF, no waveform",
        "MIT-BIH Atrial Fibrillation Database 1.0.0, Moody & Mark 1983, 10.13026/C2MW2D",
        _ODC,
    ),
    "afpdb_n": Source(
        "two leads, 30 min, people without AF",
        "PAF Prediction Challenge Database 1.0.0, Moody et al. 2001, 10.13026/C2VW2D",
        _ODC,
    ),
    "afpdb_p": Source(
        "two leads, 35 min, AF beginning late in most; annotations carried over from the database they are cut from",
        "PAF Prediction Challenge Database 1.0.0, Moody et al. 2001, 10.13026/C2VW2D",
        _ODC,
    ),
    "chapman_ningbo": Source(
        "12 leads, 10 s", "Chapman-Shaoxing and Ningbo, Zheng et al. 2020, 10.13026/34va-7q14", _CC
    ),
    "cinc2011": Source(
        "12 leads, 10 s, labelled by quality alone; amplitude inferred",
        "PhysioNet/CinC Challenge 2011, Silva et al. 2011",
        _ODC,
    ),
    "cinc2015": Source(
        "bedside alarms, the 60 s that end at the alarm, two ECG leads",
        "PhysioNet/CinC Challenge 2015, Clifford et al. 2015",
        _ODC,
    ),
    "cinc2017": Source(
        "one handheld lead, 9–61 s; classes balanced by choice; subjects not published, each record is one",
        "PhysioNet/CinC Challenge 2017, Clifford et al. 2017",
        _ODC,
    ),
    "cpsc2018": Source("12 leads, 6–60 s", f"CPSC 2018, Liu et al. 2018, as in {_CINC2021}", _CC),
    "cpsc2018_extra": Source("12 leads, 6–60 s, few rhythm labels", f"CPSC-Extra, as in {_CINC2021}", _CC),
    "cpsc2019_qrs": Source(
        "one lead, R peaks alone",
        "CPSC 2019, Gao et al. 2019",
        "not stated for the data; the repository it was read from is MIT",
    ),
    "cpsc2021": Source(
        "leads I and II, long, AF onsets and offsets annotated",
        "CPSC 2021, Wang et al. 2021, 10.13026/ksya-qw89",
        f"{_CC} as remembered by those who collected it; not stated where it was read from",
    ),
    "ltafdb_rr": Source(
        "beats and rhythm of about a day with AF, no waveform",
        "Long-Term AF Database 1.0.0, Petrutiu et al. 2007, 10.13026/C2QG6Q",
        _ODC,
    ),
    "mitdb": Source(
        "two leads, 30 min, every beat annotated",
        "MIT-BIH Arrhythmia Database 1.0.0, Moody & Mark 2001, 10.13026/C2F305",
        _ODC,
    ),
    "nsrdb_rr": Source(
        "beats of about a day without arrhythmia, no waveform",
        "MIT-BIH Normal Sinus Rhythm Database 1.0.0, 10.13026/C2NK5R",
        _ODC,
    ),
    "nstdb_118": Source(
        "one record of MIT-BIH with electrode-motion noise added at two levels",
        "MIT-BIH Noise Stress Test Database 1.0.0, Moody et al. 1984, 10.13026/C2HS3T",
        _ODC,
    ),
    "ptbxl_native100": Source("12 leads, 10 s, 100 Hz", _PTBXL, _CC),
    "ptbxl_native500": Source("12 leads, 10 s, 500 Hz", _PTBXL, _CC),
    "ptbxl_z500": Source("12 leads, 10 s, 500 Hz, filtered 0.5–40 Hz and scaled lead by lead", _PTBXL, _CC),
    "vitaldb_arrdb_rr": Source(
        "beats and rhythm during surgery, AF and flutter under one label, chosen for arrhythmia, no waveform",
        "VitalDB Arrhythmia Database 1.0.0, Eun et al. 2026, 10.13026/axd6-wm13",
        "MIT by the repository it was read from; PhysioNet's own terms for it were not seen and may differ",
    ),
    "drowned": Source(
        "recordings of ten of the datasets under noise that nobody reads a rhythm through, made for training",
        "`wardbeat/training/drowned.py`; what is below the noise is of those datasets",
        "that of each of them",
    ),
    "synthetic": Source("made by this project's own generator of patients", "`ecg/synthetic`", "Apache-2.0"),
}
