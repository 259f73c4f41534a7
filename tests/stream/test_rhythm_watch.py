"""The shipped network in the ward core: AF comes, is told, placed, and goes."""

import msgspec
import pytest

from alarms.alarm import AlarmEvent, Kind, Phase
from ecg.synthetic import SyntheticPatient
from models.rhythm_network import RhythmNetwork
from stream.bed import Bed, BedConfig
from stream.offline import Analysis, analyze_recording
from stream.states import RhythmState

ONSET_S, OFFSET_S = 60, 150


@pytest.fixture(scope="module")
def network() -> RhythmNetwork:
    """As it is shipped."""
    return RhythmNetwork.load()


@pytest.fixture(scope="module")
def paroxysm(network: RhythmNetwork) -> Analysis:
    """A synthetic patient who goes into AF and out of it."""
    patient = SyntheticPatient("sinus(rate=72) 60s, af(rate=115) 90s, sinus(rate=75) 90s", 11)
    return analyze_recording(patient.recording("r"), BedConfig(waves=False, network=network))


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
        assert bed.rhythm is not None
        assert bed.epoch is not None
        states.append(bed.rhythm.state(bed.epoch))
    assert [state.now for state in states[:45]] == [None] * 45
    assert "sinus" in {state.now for state in states}
    assert states[-1].now is None
    assert states[-1].burden is None
    assert set(states[-1].evidence) <= {-1.0}


def test_a_bed_without_signal_has_no_rhythm(network: RhythmNetwork) -> None:
    """Protects the nurse from a rhythm that nobody measured: with all leads off the network is not asked."""
    patient = SyntheticPatient("sinus 20s, sinus+leads_off(all) 20s", 2).recording("r")
    analysis = analyze_recording(patient, BedConfig(waves=False, network=network))
    assert not analysis.findings[-1].usable
    assert not analysis.findings[-1].probabilities
    assert not of_af(analysis)
