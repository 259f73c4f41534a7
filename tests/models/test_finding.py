"""The finding as it travels: what an older worker wrote must stay readable, and evidence must come through whole."""

import msgspec

from models.finding import NO_MODEL, Finding


def test_a_finding_of_before_the_network_is_read() -> None:
    """The log of findings outlives the version that wrote it."""
    old = {
        "bed": "b",
        "epoch": 1,
        "end": 5000,
        "usable": True,
        "hr_bpm": None,
        "beats": [700],
        "quality": {"I": "good"},
    }
    finding = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Finding)
    assert (finding.af_evidence, finding.flutter_evidence, finding.noise_evidence) == ((), (), ())
    assert (finding.reason, finding.model) == ("", NO_MODEL)


def test_evidence_and_reason_come_through_whole() -> None:
    """Alarms are made anew from findings that were read back: not one bit may differ."""
    seconds = tuple(1 / (second + 3) for second in range(10))
    finding = Finding(
        bed="b",
        epoch=1,
        end=5000,
        usable=True,
        hr_bpm=81.5,
        beats=(700, 1100),
        quality={"I": "good"},
        af_evidence=seconds,
        flutter_evidence=seconds[::-1],
        noise_evidence=(0.0,) * 10,
        reason="irregular RR, no P waves",
        prediction_set=("af", "flutter"),
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(finding), type=Finding) == finding
