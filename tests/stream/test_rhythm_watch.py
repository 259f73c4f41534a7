"""The shipped network in the ward core: AF comes, is told, placed, and goes."""

import msgspec
import numpy as np
import pytest

from alarms.alarm import AlarmEvent, Kind, Phase
from alarms.limits import Limits
from ecg.leads import LEADS
from ecg.synthetic import SyntheticPatient
from models.explain import TOKENS
from models.rhythm_network import RhythmNetwork
from stream.bed import Bed, BedConfig
from stream.offline import Analysis, analyze_beats, analyze_recording
from stream.rhythm_watch import explained
from stream.states import RhythmState
from tests.models.network_inputs import patient_window

SCRIPT, SEED = "sinus(rate=72) 60s, af(rate=115) 90s, sinus(rate=75) 90s", 11
ONSET_S, OFFSET_S = 60, 150


@pytest.fixture(scope="module")
def network() -> RhythmNetwork:
    """As it is shipped."""
    return RhythmNetwork.load()


@pytest.fixture(scope="module")
def paroxysm(network: RhythmNetwork) -> Analysis:
    """A synthetic patient who goes into AF and out of it."""
    return analyze_recording(SyntheticPatient(SCRIPT, SEED).recording("r"), BedConfig(waves=False, network=network))


@pytest.fixture(scope="module")
def pulse(network: RhythmNetwork) -> Analysis:
    """The same patient by beats alone."""
    beats = SyntheticPatient(SCRIPT, SEED).recording("r").beats
    assert beats is not None
    return analyze_beats("r", beats, 500, BedConfig(network=network))


def of_af(analysis: Analysis) -> list[AlarmEvent]:
    return [event for event in analysis.alarms if event.kind is Kind.AF]


def test_af_is_told_confirmed_and_ended(paroxysm: Analysis, network: RhythmNetwork) -> None:
    """Protects the first purpose of the ward: one alarm, provisional within 20 s, confirmed, ended, with its reason."""
    events = of_af(paroxysm)
    phases = [event.phase for event in events if event.phase is not Phase.UPDATE]
    assert phases == [Phase.START, Phase.ESCALATE, Phase.END]
    start, confirmed, end = (event for event in events if event.phase is not Phase.UPDATE)
    assert start.at <= (ONSET_S + 20) * 500
    assert confirmed.at <= (ONSET_S + 45) * 500
    assert len({event.id for event in events}) == 1
    assert "irregular RR" in start.reason
    assert "af" in start.prediction_set
    assert start.model == network.name
    assert end.offset == pytest.approx(OFFSET_S * 500, abs=5 * 500)


def test_an_alarm_says_what_the_network_looked_at(paroxysm: Analysis) -> None:
    """Protects the explanation: Grad-CAM by second of each lead and attention by second of each kind, where an alarm
    starts and where it is confirmed, and nowhere else.
    """
    events = of_af(paroxysm)
    for event in events:
        if event.phase not in (Phase.START, Phase.ESCALATE):
            assert (event.saliency, event.attention, event.attention_by_second) == ({}, {}, {})
            continue
        assert tuple(event.saliency) == LEADS
        assert {len(seconds) for seconds in event.saliency.values()} == {10}
        assert max(max(seconds) for seconds in event.saliency.values()) == 100
        assert tuple(event.attention_by_second) == tuple(event.attention) == tuple(dict.fromkeys(TOKENS))
        shares = np.array(list(event.attention_by_second.values()))
        assert shares.shape == (8, 10)
        np.testing.assert_allclose(shares.sum(0), 100, atol=4)  # rounding of eight
        np.testing.assert_allclose(shares.mean(1), list(event.attention.values()), atol=1)
        assert (shares != shares[:, :1]).any()
    start, confirmed = (event for event in events if event.phase in (Phase.START, Phase.ESCALATE))
    assert start.attention_by_second != confirmed.attention_by_second


def test_by_beats_alone_an_alarm_has_its_reason_and_attention(pulse: Analysis, network: RhythmNetwork) -> None:
    """Protects ``analyze --beats``: what was looked at is told there, too; of leads that nobody saw nothing is."""
    events = [event for event in of_af(pulse) if event.phase in (Phase.START, Phase.ESCALATE)]
    assert [event.phase for event in events] == [Phase.START, Phase.ESCALATE]
    for event in events:
        assert (event.reason, event.model) == ("irregular RR", network.name)
        assert event.saliency == {}
        assert event.attention["rr_10s"] > 0
        assert [event.attention[kind] for kind in ("qrs_shape", "atrial", "morphology")] == [0, 0, 0]
        assert {len(seconds) for seconds in event.attention_by_second.values()} == {10}


def test_an_event_is_explained_for_its_own_rhythm(paroxysm: Analysis, network: RhythmNetwork) -> None:
    """Protects a flutter alarm from the reasons for AF; of an update no explanation is asked."""
    inputs = patient_window("af(rate=115) 20s", 4)
    start = msgspec.structs.replace(of_af(paroxysm)[0], saliency={}, attention={}, attention_by_second={})
    assert start.phase is Phase.START
    shown = {}
    for kind in (Kind.AF, Kind.FLUTTER):
        event = explained(msgspec.structs.replace(start, kind=kind), network, inputs)
        asked = network.explain(inputs, str(kind))
        assert event.saliency == asked.saliency
        assert (event.attention, event.attention_by_second) == (asked.attention, asked.attention_by_second)
        shown[kind] = event.saliency
    assert shown[Kind.AF] != shown[Kind.FLUTTER]
    update = msgspec.structs.replace(start, phase=Phase.UPDATE)
    assert explained(update, network, inputs) is update


@pytest.mark.parametrize("by_beats", [False, True])
def test_the_ward_says_when_af_is_confirmed(
    by_beats: bool, paroxysm: Analysis, pulse: Analysis, network: RhythmNetwork
) -> None:
    """Protects the setting: a ward that wants 60 s hears the same provisional alarm, and the confirmed one later."""
    config = BedConfig(limits=Limits(af_confirm_s=60.0), waves=False, network=network)
    recording = SyntheticPatient(SCRIPT, SEED).recording("r")
    assert recording.beats is not None
    later = analyze_beats("r", recording.beats, 500, config) if by_beats else analyze_recording(recording, config)
    told = {phase: [e for e in of_af(later) if e.phase is phase] for phase in (Phase.START, Phase.ESCALATE)}
    usual = {phase: [e for e in of_af(pulse if by_beats else paroxysm) if e.phase is phase] for phase in told}
    assert told[Phase.START] == usual[Phase.START]
    (start,), (slow,), (quick,) = told[Phase.START], told[Phase.ESCALATE], usual[Phase.ESCALATE]
    assert slow.at - start.onset >= 60 * 500 > quick.at - start.onset


def test_the_episode_is_placed(paroxysm: Analysis) -> None:
    """Protects burden and episode list: onset and offset within some beats of the truth."""
    (episode,) = paroxysm.episodes
    assert episode.onset == pytest.approx(ONSET_S * 500, abs=3 * 500)
    assert episode.offset == pytest.approx(OFFSET_S * 500, abs=5 * 500)
    assert paroxysm.burden is not None
    assert paroxysm.burden.share == pytest.approx(90 / 240, abs=0.05)


def test_findings_carry_the_networks_word(paroxysm: Analysis, network: RhythmNetwork) -> None:
    """Protects the log of findings: probabilities, ten seconds of evidence and the model's hash in each usable one."""
    finding = next(finding for finding in paroxysm.findings if finding.end == (ONSET_S + 40) * 500)
    assert finding.model == network.name
    assert finding.probabilities["af"] > 0.5
    assert len(finding.af_evidence) == len(finding.flutter_evidence) == len(finding.noise_evidence) == 10


def test_nothing_is_made_up_before_the_first_window_and_after_a_new_patient(network: RhythmNetwork) -> None:
    """Protects the screen: a rhythm is shown only once a window of this epoch was judged."""
    bed = Bed("b", BedConfig(waves=False, network=network))
    patient = SyntheticPatient("sinus 15s", 2).recording("r")
    chunks = list(patient.chunks("b"))
    states: list[RhythmState] = []
    for chunk in [*chunks, msgspec.structs.replace(chunks[0], epoch=100_000, sent_at=100_200.0)]:
        bed.push(chunk)
        assert bed.rhythm_state is not None
        states.append(bed.rhythm_state)
    assert [state.now for state in states[:45]] == [None] * 45
    assert "sinus" in {state.now for state in states}
    assert states[-1].now is None
    assert states[-1].burden is None
    assert set(states[-1].evidence) <= {-1.0}


def test_in_asystole_no_rhythm_is_shown(network: RhythmNetwork) -> None:
    """Protects the nurse from "Sinus" beside ASYSTOLE: the newest window still holds the beats before it."""
    bed = Bed("b", BedConfig(waves=False, network=network))
    shown: dict[bool, set[str | None]] = {False: set(), True: set()}
    for chunk in SyntheticPatient("sinus 20s, asystole 8s, sinus 14s", 2).recording("r").chunks("b"):
        bed.push(chunk)
        if bed.end >= 15 * 500:
            assert bed.rhythm_state is not None
            shown[any(event.kind is Kind.ASYSTOLE for event in bed.active)].add(bed.rhythm_state.now)
    assert shown[True] == {None}
    assert "sinus" in shown[False]


def test_a_bed_without_signal_has_no_rhythm(network: RhythmNetwork) -> None:
    """Protects the nurse from a rhythm that nobody measured: with all leads off the network is not asked."""
    patient = SyntheticPatient("sinus 20s, sinus+leads_off(all) 20s", 2).recording("r")
    analysis = analyze_recording(patient, BedConfig(waves=False, network=network))
    assert not analysis.findings[-1].usable
    assert not analysis.findings[-1].probabilities
    assert not of_af(analysis)
