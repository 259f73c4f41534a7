"""The script's grammar: what it means, what it refuses, and that it writes itself down again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.leads import LEADS
from ecg.synthetic import OVERLAYS, RHYTHMS, Overlay, Script, Segment
from ecg.synthetic.script import BLOCKS, Parameter, flutter_rates


def test_plain_script() -> None:
    """The script of the documentation is read as it stands, with seconds, minutes and hours."""
    script = Script.parse("sinus 60s, af 1.5m, Sinus 0.5h")
    assert [(s.rhythm, s.seconds) for s in script.segments] == [("sinus", 60.0), ("af", 90.0), ("sinus", 1800.0)]
    assert script.seconds == 1950.0


def test_parameters_by_name_and_by_place() -> None:
    """A parameter may stand by its name or in its place; what is not given has the default, or is the patient's own."""
    for text in (
        "pause(s=5, rate=70) 20s",
        "pause(5, 70) 20s",
        "pause(rate=70, s=5) 20s",
        "pause( 5 , rate = 70 )20 s",
    ):
        segment = Script.parse(text).segments[0]
        assert (segment.value("s"), segment.value("rate")) == (5.0, 70.0)
    assert Script.parse("vt 9s").segments[0].value("rate") == 180.0
    assert Script.parse("sinus 9s").segments[0].value("rate") is None


def test_overlays_before_and_after_the_duration() -> None:
    """Overlays mean the same on either side of the duration, because people write both."""
    before = Script.parse("af+noise(60)+mains(60, 80)+leads_off(MLII+V1) 30s")
    after = Script.parse("af 30s + noise(uv=60) + mains(hz=60, uv=80) + leads_off(V1+II)")
    assert before == after
    assert before.segments[0].overlays == (
        Overlay("noise", (60.0,)),
        Overlay("mains", (60.0, 80.0)),
        Overlay("leads_off", leads=("II", "V1")),
    )
    assert Script.parse("af+leads_off(all) 1s").segments[0].overlays[0].leads == LEADS


def test_wide_beats_and_pacemakers() -> None:
    """What is laid over the conduction has no numbers; what the atria do is a word."""
    segment = Script.parse("af(rate=90)+LBBB+pvc 9s").segments[0]
    assert (segment.block, segment.fibrillates, segment.overlay("pvc")) == ("lbbb", True, Overlay("pvc", (0.15,)))
    paced = Script.parse("paced(70, AF) 9s, paced 9s")
    assert [each.fibrillates for each in paced.segments] == [True, False]
    assert str(paced) == "paced(rate=70, atria=af) 9s, paced 9s"
    assert str(Script.parse("sinus 9s + ivcd")) == "sinus+ivcd 9s"


def test_repeats() -> None:
    """A segment or a group is repeated in place, groups within groups as well."""
    script = Script.parse("(sinus 10s, (af 5s) x2) *2, vf 1s x3")
    assert [s.rhythm for s in script.segments] == ["sinus", "af", "af"] * 2 + ["vf"] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sinsu 60s", r"unknown rhythm 'sinsu'; expected one of sinus, brady, .*asystole"),
        ("sinus(speed=3) 60s", r"unknown parameter 'speed' of 'sinus'; expected one of rate"),
        ("sinus+snow 60s", r"unknown overlay 'snow'; expected one of noise, mains, wander, leads_off"),
        ("sinus+leads_off(V9) 60s", r"unknown lead 'V9'; expected all or one of I, II"),
        ("sinus(rate=fast) 60s", r"sinus\(rate\): expected 30 to 200 /min, got 'fast'"),
        ("sinus(rate=500) 60s", r"sinus\(rate\): expected 30 to 200 /min, got '500'"),
        ("sinus(60, 0.1, 70) 60s", r"'sinus' takes 2 values \(rate, rsa\), got one more: '70'"),
        ("sinus(rate=60, rate=70) 60s", r"parameter 'rate' of 'sinus' stands twice"),
        ("asystole(rate=60) 60s", r"'asystole' takes no parameters"),
        ("sinus+mains(55) 60s", r"mains\(hz\): expected 50 or 60, got '55'"),
        ("sinus+noise+noise 60s", r"'noise' stands twice"),
        ("flutter(block=7) 60s", r"flutter\(block\): expected 1 or .* or 6 or var, got '7'"),
        ("flutter(rate=60, block=2) 60s", r"atrial rate of 120 /min; expected 200 to 400"),
        ("paced(atria=vf) 9s", r"paced\(atria\): expected sinus or af or paced, got 'vf'"),
        ("vt+pvc(0.1) 9s", r"a rhythm that PVCs can fall into under 'pvc', got 'vt\+pvc\(p=0.1\) 9s'"),
        ("pause+pvc 9s", r"a rhythm that PVCs can fall into"),
        ("paced+lbbb 9s", r"a conducted rhythm under 'lbbb', got 'paced\+lbbb 9s'"),
        ("sinus+lbbb+rbbb 9s", r"one of lbbb, rbbb, ivcd over a segment, got 'sinus\+lbbb\+rbbb 9s'"),
        ("sinus+rbbb(3) 9s", r"'rbbb' takes no parameters"),
        ("sinus+pvc(0.9) 9s", r"pvc\(p\): expected 0 to 0.5, got '0.9'"),
        ("pause(s=8) 10s", r"at least 3 s longer than its pause, got 'pause\(s=8\) 10s'"),
        ("sinus 60", r"expected a duration such as 60s, 1.5m or 1h, got '60'"),
        ("sinus", r"expected a duration .*, got the end"),
        ("sinus 0s", r"expected a duration of 0.1 s .* got '0s'"),
        ("sinus 60s af 60s", r"expected ',' or the end, got 'af' after 'sinus 60s"),
        ("sinus 60s,", r"expected a rhythm .*, got the end"),
        ("(sinus 60s", r"expected '\)', got the end"),
        ("sinus 60s x0", r"repeat of at least 1"),
        ("sinus 1h x1000000", r"at most 86400 s"),
        ("", r"expected a rhythm .*, got the end"),
        ("sinus % 60s", r"got '%'"),
        ("sinus+leads_off 60s", r"expected '\(', got '60s'"),
        ("sinus(=3) 60s", r"expected a value, got '='"),
        ("sinus(rate=) 60s", r"sinus\(rate\): expected 30 to 200 /min, got '\)'"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    """Whatever is wrong is quoted, together with what would have been right."""
    with pytest.raises(ValueError, match=said):
        Script.parse(text)


def _value(parameter: Parameter) -> st.SearchStrategy[float]:
    if parameter.choices:
        return st.sampled_from([*parameter.choices, *(number for _, number in parameter.words)])
    return st.floats(parameter.low, parameter.high)


@st.composite
def _segments(draw: st.DrawFn) -> Segment:
    rhythm = draw(st.sampled_from(sorted(RHYTHMS.keys() - {"flutter"})))
    values = tuple((p.name, draw(_value(p))) for p in RHYTHMS[rhythm] if draw(st.booleans()))
    overlays = []
    for name in draw(st.lists(st.sampled_from(sorted(OVERLAYS)), unique=True)):
        if name == "pvc" and rhythm in ("pvc", "pause", "vt", "vf", "asystole"):
            continue
        if name in BLOCKS and (
            rhythm in ("paced", "vt", "vf", "asystole") or any(overlay.name in BLOCKS for overlay in overlays)
        ):
            continue
        if name == "leads_off":
            off = draw(st.sets(st.sampled_from(LEADS), min_size=1))
            overlays.append(Overlay(name, leads=tuple(lead for lead in LEADS if lead in off)))
        else:
            overlays.append(Overlay(name, tuple(draw(_value(p)) for p in OVERLAYS[name])))
    return Segment(rhythm, draw(st.floats(23.0, 5000.0)), values, tuple(overlays))


@given(st.lists(_segments(), min_size=1, max_size=4))
def test_round_trip(segments: list[Segment]) -> None:
    """A script written down and read again is the same script, to the last bit of its numbers."""
    script = Script(tuple(segments))
    assert Script.parse(str(script)) == script


@given(st.floats(40, 350))
def test_any_flutter_rate_has_a_block(rate: float) -> None:
    """A ventricular rate without a block is always accepted: some block makes its atrial rate a flutter."""
    segment = Script.parse(f"flutter(rate={rate!r}) 60s").segments[0]
    atrial, block = flutter_rates(segment)
    assert atrial == pytest.approx(rate * block)
    assert Script.parse(str(Script((segment,)))).segments[0] == segment


def test_varied_block_round_trip() -> None:
    """A word that stands for a number is written as the word."""
    assert str(Script.parse("flutter(block=VAR) 5s")) == "flutter(block=var) 5s"
