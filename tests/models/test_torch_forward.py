"""The network in torch in the place of that without: the ward says the same, and where it cannot run it says so."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch

from alarms.alarm import AlarmEvent, Phase
from ecg.recording import Recording
from ecg.synthetic import SyntheticPatient
from models.network.batch import Batch
from models.network.forward import Forward, Result
from models.network.torch_forward import TorchForward
from models.network.weights import Model, load_model
from models.rhythm_network import DeviceError, RhythmNetwork, forward_on
from stream.bed import BedConfig
from stream.offline import Analysis, analyze_beats, analyze_recording
from tests.models.network_inputs import random_batch
from wardbeat.settings import SettingsError, load_settings

CPU = torch.device("cpu")
SCRIPT = "sinus(rate=72) 40s, af(rate=115) 50s, sinus(rate=75)+pvc(0.2) 30s"
ROUNDED = 1.0001e-4  # apart are two neighbours of four digits, as floats: a finding has no more
LEADS = {"12 leads": slice(0, 12), "lead II": slice(1, 2), "beats": slice(0)}


class Kept:
    """A forward pass that keeps what it was asked and what it said."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.calls: list[tuple[Batch, Result]] = []

    def __call__(self, batch: Batch) -> Result:
        result = self.forward(batch)
        self.calls.append((batch, result))
        return result


@pytest.fixture(scope="module")
def model() -> Model:
    """As it is shipped."""
    return load_model()


@pytest.fixture(scope="module")
def in_torch(model: Model) -> TorchForward:
    """Its torch network."""
    return TorchForward(model.network, model.config, CPU)


def analysis(leads: str, network: RhythmNetwork) -> Analysis:
    """A synthetic patient who goes into AF and out of it, by these leads or by the beats alone."""
    whole = SyntheticPatient(SCRIPT, 7).recording("r")
    config = BedConfig(waves=False, network=network)
    if leads == "beats":
        assert whole.beats is not None
        return analyze_beats("r", whole.beats, whole.fs, config)
    some = LEADS[leads]
    part = Recording("r", whole.fs, whole.leads[some], whole.microvolts[some])
    return analyze_recording(part, config)


@pytest.mark.parametrize("leads", LEADS)
def test_the_ward_says_the_same(model: Model, in_torch: TorchForward, leads: str) -> None:
    """Protects a ward that moves to a GPU: every field of every window to 1e-4, so the same judgements and alarms."""
    kept = Kept(Forward(model.network, model.config))
    without = analysis(leads, RhythmNetwork(model, kept))
    windows = 0
    for batch, expected in kept.calls:
        for name, got in in_torch(batch)._asdict().items():
            other = getattr(expected, name)
            scale = max(1.0, float(np.abs(other).max())) if name == "tokens" else 1.0  # not bounded as the others are
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, other, rtol=0, atol=1e-4 * scale, err_msg=name)
        windows += len(batch)
    assert windows >= 100
    by_torch = analysis(leads, RhythmNetwork(model, in_torch))
    assert len(by_torch.findings) == len(without.findings)
    for one, other in zip(by_torch.findings, without.findings, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=ROUNDED)
        assert one.prediction_set == other.prediction_set
        for evidence in ("af_evidence", "flutter_evidence", "noise_evidence"):
            assert getattr(one, evidence) == pytest.approx(getattr(other, evidence), abs=ROUNDED)
    assert len(by_torch.alarms) == len(without.alarms)
    for event, other in zip(by_torch.alarms, without.alarms, strict=True):
        assert told(event) == told(other)
        assert event.attention == pytest.approx(other.attention, abs=1)
        assert event.saliency.keys() == other.saliency.keys()
        for lead, seconds in event.saliency.items():
            assert seconds == pytest.approx(other.saliency[lead], abs=1)
    assert Phase.ESCALATE in {event.phase for event in without.alarms}
    assert any(event.saliency for event in without.alarms) == (leads != "beats")
    assert by_torch.episodes == without.episodes


def told(event: AlarmEvent) -> AlarmEvent:
    """The event without what was looked at: whole per cents, which may round to either side."""
    return msgspec.structs.replace(event, saliency={}, attention={}, attention_by_second={})


def test_a_window_does_not_depend_on_its_company(in_torch: TorchForward) -> None:
    """Protects the replay: to the last bit, however windows were batched."""
    batch = random_batch(9, seed=6)
    batch.leads[3] = False
    together = in_torch(batch)
    for i in range(9):
        for name, value in in_torch(batch[i : i + 1])._asdict().items():
            np.testing.assert_array_equal(value[0], getattr(together, name)[i], err_msg=f"{name} of window {i}")
    with pytest.raises(ValueError, match="one window at least, got 0"):
        in_torch(batch[:0])


def test_an_unknown_device_is_quoted(model: Model) -> None:
    """Protects from a typo that would be taken for the CPU."""
    with pytest.raises(DeviceError, match="expected one of cpu, cuda, got 'tpu'"):
        forward_on("tpu", model)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"device: .*got 'tpu'"):
        load_settings(device="tpu")


def worker(*prelude: str) -> "subprocess.CompletedProcess[str]":
    """What ``wardbeat worker --device cuda`` does on a machine whose GPUs are hidden."""
    code = "\n".join((*prelude, "from wardbeat.cli import app", "app(['worker', '--device', 'cuda'])"))
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_without_a_gpu_the_worker_does_not_start() -> None:
    """Protects from a GPU worker that quietly judges on the CPU: one line with the device and what is missing."""
    done = worker()
    assert done.returncode == 1
    assert "device 'cuda': torch " in done.stderr
    assert "finds no CUDA device" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_torch_the_worker_does_not_start() -> None:
    """Protects from the same in the small image, which has no torch; `None` is how Python bars an import."""
    done = worker("import sys", "sys.modules['torch'] = None")
    assert done.returncode == 1
    assert "device 'cuda': import of torch halted" in done.stderr
    assert "the extra gpu of wardbeat" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_the_cpu_no_torch_is_imported() -> None:
    """Protects the CPU worker: it judges where torch is not installed."""
    code = (
        "import sys; from stream.bed import warm_up; from wardbeat.settings import load_settings;"
        "warm_up(load_settings(device='cpu').beds()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
