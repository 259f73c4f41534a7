"""What a second of one bed costs with the network, step by step, and what the reference libraries take for it.

OPENBLAS_NUM_THREADS=1 python -m benchmarks.bed_second [--seconds 120]

Hop 1 s, a synthetic patient, the shipped network, one thread of BLAS as `wardbeat` sets it; milliseconds of CPU a
bed-second in one run. The reference does the same work a window the plain way: neurokit2's clean and R peaks of lead II
and HRV of the last minute, sktime's MiniRocket of 6,048 features of twelve leads, and the network in torch. It lacks
what no library has (QRS groups, atrial features, signal quality), so it is flattered. Compiling is left out.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np

from ecg.beats import BeatDetector
from ecg.quality import LeadQuality
from ecg.recording import Recording
from ecg.synthetic import SyntheticPatient
from models.features.atrial import atrial_features
from models.features.conduction import conduction_features
from models.features.extractor import Extractor
from models.features.hrv import rr_features
from models.features.pulse import pulse
from models.features.qrs_shapes import group_shapes, shape_features
from models.inputs import NetworkInput
from models.network.batch import stack
from models.network.forward import Forward
from models.network.weights import load_model
from models.rhythm_network import RhythmNetwork
from stream.bed import BedConfig, warm_up
from stream.offline import analyze_recording, uv_per_bit
from windowing.assembler import Assembler
from windowing.spans import Span, Window

Work = list[tuple[Window, np.ndarray]]


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of CPU."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(recording: Recording) -> tuple[dict[str, float], Work, list[NetworkInput]]:
    """Seconds by step; windows with the beats of their last minute, and their inputs."""
    model = load_model()
    network, forward = RhythmNetwork(model), Forward(model.network, model.config)
    config = BedConfig(waves=False, network=network)
    warm_up(config)
    spans: list[tuple[Span, Window | None]] = []
    took: dict[str, float] = {}

    def assemble() -> None:
        assembler = Assembler()
        for chunk in recording.chunks("b", seconds=0.2, uv_per_bit=uv_per_bit(recording)):
            for item in assembler.push(chunk):
                if isinstance(item, Span):
                    window = item.window
                    kept = window and Window(window.epoch, window.end, window.microvolts.copy(), window.mask.copy())
                    spans.append(
                        (Span(0, item.first, item.microvolts.copy(), item.mask.copy(), item.received, 0.0), kept)
                    )

    took["put in order, resample (and copy)"] = seconds_of(assemble)
    detector, found = BeatDetector(), []
    took["beats"] = seconds_of(lambda: found.extend(detector.push(s.microvolts, s.mask).sample for s, _ in spans))
    quality = LeadQuality()
    took["signal quality"] = seconds_of(lambda: [quality.push(s.microvolts, s.mask) for s, _ in spans])
    beats = np.concatenate(found)
    work = [(w, beats[(beats > w.end - 30_000) & (beats < w.end - 220)]) for _, w in spans if w]
    took["RR features of 10, 30, 60 s"] = seconds_of(lambda: [rr_features(b, w.end) for w, b in work])
    nothing = np.zeros(1000, np.float32)
    took["pulse"] = seconds_of(lambda: [pulse(b, w.end, nothing[: len(b)]) for w, b in work])
    inside = [(w, b[b >= w.end - 5000] - (w.end - 5000)) for w, b in work]
    groups = [group_shapes(w.microvolts, w.mask, b) for w, b in inside]
    took["QRS groups"] = seconds_of(lambda: [shape_features(group_shapes(w.microvolts, w.mask, b)) for w, b in inside])
    took["atrial features"] = seconds_of(lambda: [atrial_features(g) for g in groups])
    took["conduction"] = seconds_of(lambda: [conduction_features(g) for g in groups])
    extractor, inputs, at = Extractor(network.minirocket), [], iter(work)

    def extract() -> None:
        for span, window in spans:
            extractor.push(span.microvolts, span.mask)
            if window:
                inputs.append(extractor.extract(*next(at)))

    whole = seconds_of(extract)
    parts = ("RR features of 10, 30, 60 s", "pulse", "QRS groups", "atrial features", "conduction")
    took["filter, amplitude, MiniRocket"] = whole - sum(took[part] for part in parts)
    took["network"] = seconds_of(lambda: [forward(stack([each])) for each in inputs])
    took["everything, as the ward does it"] = seconds_of(lambda: analyze_recording(recording, config))
    return took, work, inputs


def reference(work: Work, inputs: list[NetworkInput]) -> dict[str, float]:
    """Seconds by step for the same windows, of which every tenth is done."""
    import neurokit2
    import torch
    from sktime.transformations.rocket import MiniRocketMultivariate

    from models.network.torch_network import Network, tensors

    torch.set_num_threads(1)
    model = load_model()
    network = Network(model.config).eval()
    network.load_state_dict({key: torch.from_numpy(value) for key, value in model.network.items()})
    rocket = MiniRocketMultivariate(num_kernels=6048, n_jobs=1, random_state=1)
    signals = np.stack([each.signal for each in inputs[:8]]).astype(np.float32)
    rocket.fit(signals)
    rocket.transform(signals[:1])
    some = range(0, len(work), 10)

    def pulse_of() -> None:
        for i in some:
            window, beats = work[i]
            clean = neurokit2.ecg_clean(window.microvolts[1].astype(np.float64), sampling_rate=500)
            neurokit2.ecg_peaks(clean, sampling_rate=500)
            if len(beats) > 20:
                neurokit2.hrv_time(beats - beats[0], sampling_rate=500)
                neurokit2.hrv_nonlinear(beats - beats[0], sampling_rate=500)

    def judge() -> None:
        with torch.inference_mode():
            for i in some:
                network(tensors(stack([inputs[i]])))

    judge()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        took = {"neurokit2: beats and HRV": seconds_of(pulse_of)}
        took["sktime: MiniRocket"] = seconds_of(
            lambda: [rocket.transform(inputs[i].signal[None].astype(np.float32)) for i in some]
        )
        took["torch: network"] = seconds_of(judge)
    return {name: 10 * seconds for name, seconds in took.items()}


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    seconds = parser.parse_args().seconds
    for name, leads in (("12 leads", None), ("I, II, V1", ("I", "II", "V1"))):
        patient = SyntheticPatient(f"sinus {seconds // 2}s, af {seconds // 2}s", 1, 500, *([leads] if leads else []))
        took, work, inputs = ours(patient.recording(name))
        print(f"\n| {name}: step | ms a bed-second |\n|---|---|")
        for step, value in took.items():
            print(f"| {step} | {1000 * value / seconds:.2f} |", flush=True)
        if leads is None:
            plain = reference(work, inputs)
            for step, value in plain.items():
                print(f"| {step} | {1000 * value / seconds:.1f} |")
            ratio = sum(plain.values()) / took["everything, as the ward does it"]
            print(f"| reference over ours | {ratio:.0f} times |")


if __name__ == "__main__":
    main()
