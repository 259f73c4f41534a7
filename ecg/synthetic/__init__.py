"""Synthetic patients: a script in, twelve leads and the truth about them out."""

from ecg.synthetic.patient import UV_PER_BIT, LeadOff, SyntheticPatient
from ecg.synthetic.script import OVERLAYS, RHYTHMS, Overlay, Script, Segment

__all__ = ["OVERLAYS", "RHYTHMS", "UV_PER_BIT", "LeadOff", "Overlay", "Script", "Segment", "SyntheticPatient"]
