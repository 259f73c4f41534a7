"""What the network costs: without torch, in torch, and a step of its training: run it from the root.

Weights and inputs are made up: the time depends on how many leads are known, not on what they show. One thread; CPU
time of the process, so that what else the machine does counts little; the median of the repeats, after a first call
that compiles. Both get the same batches and start from the arrays of a bed, and torch runs without gradients. Features
and signal are taken as given: what they cost stands in the other benchmarks. The training step is forward, backward and
AdamW for 64 windows of 4 leads on average, by the clock, with ``--threads``.

With ``--cuda torch mamba_ssm``, or one of them, the shipped network also runs on a CUDA device by these kernels, one
window at a time as `wardbeat worker --device cuda` does it. It ends with 1 where an answer is further than 1e-4 from
that without torch: no test of the suite can tell, since that runs without a GPU.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.network.batch import Batch
from models.network.config import NetworkConfig
from models.network.forward import Forward
from models.network.torch_forward import TorchForward
from models.network.torch_network import Network, parameter_count, tensors
from models.network.weights import load_model
from tests.models.network_inputs import random_batch

ROWS = ((1, 12), (1, 3), (1, 1), (1, 0), (8, 12), (32, 12), (32, 3))
NEAR = 1e-4  # what the passes may differ by
FOUR_LEADS = 4 / 12  # each of the twelve is known with this probability


def first_leads(windows: int, leads: int) -> Batch:
    """Noise, with the first ``leads`` leads known."""
    batch = random_batch(windows, leads=1.0)
    batch.leads[:, leads:] = False
    return batch


def milliseconds(call: Callable[[], object], times: int, clock: Callable[[], float] = time.process_time) -> float:
    """Median of the calls after a first one."""
    call()
    taken = []
    for _ in range(times):
        started = clock()
        call()
        taken.append(clock() - started)
    return 1000 * median(taken)


def training_step(threads: int, times: int) -> float:
    """Forward, backward and AdamW for 64 windows."""
    torch.set_num_threads(threads)
    network = Network(NetworkConfig())
    optimizer = torch.optim.AdamW(network.parameters())
    batch = tensors(random_batch(64, leads=FOUR_LEADS))

    def step() -> None:
        out = network(batch)
        optimizer.zero_grad()
        (out.pooled_log.mean() + out.seconds.square().mean()).backward()
        optimizer.step()

    return milliseconds(step, times, time.perf_counter)


def compare(forward: Forward, other: TorchForward, name: str) -> bool:
    """Print how far ``other`` is from ``forward`` at most, by field; whether it is near enough everywhere."""
    near = True
    for leads in (1.0, FOUR_LEADS, 0.0):
        batch = random_batch(8, leads=leads)
        expected, got = forward(batch), other(batch)
        for field, value in expected._asdict().items():
            scale = max(1.0, float(np.abs(value).max())) if field == "tokens" else 1.0  # not bounded as the others are
            apart = float(np.abs(getattr(got, field) - value).max()) / scale
            near &= apart <= NEAR
            print(f"{name}, {leads:.0%} of the leads, {field}: largest difference {apart:.1e}")
    return near


def compare_on_cuda(kernels: str, times: int) -> bool:
    """The shipped network on a CUDA device: what it costs, and whether it is that without torch."""
    model = load_model()
    on_cuda = TorchForward(model.network, model.config, torch.device("cuda"), kernels)
    batch = first_leads(1, 12)
    cost = milliseconds(partial(on_cuda, batch), times, time.perf_counter)
    print(f"\n{kernels} on {torch.cuda.get_device_name()}: {cost:.2f} ms a window of twelve leads, by the clock")
    return compare(Forward(model.network, model.config), on_cuda, kernels)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20, help="of each measurement (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="of the training step (default 2)")
    parser.add_argument("--cuda", nargs="+", choices=("torch", "mamba_ssm"), default=(), help="compare on a GPU")
    options = parser.parse_args()
    config = NetworkConfig()
    network = Network(config).eval()
    forward = Forward({name: value.numpy() for name, value in network.state_dict().items()}, config)
    print(f"{parameter_count(network):,} parameters\n")
    print("| windows at once | leads | without torch, ms a window | torch, ms a window | torch / without |")
    print("|---" * 5 + "|")
    torch.set_num_threads(1)
    with threadpool_limits(1), torch.inference_mode():
        for windows, leads in ROWS:
            batch = first_leads(windows, leads)
            times = max(3, options.repeats // windows)
            ours = milliseconds(partial(forward, batch), times) / windows
            theirs = milliseconds(lambda batch=batch: network(tensors(batch)), times) / windows  # type: ignore[misc]
            print(f"| {windows} | {leads} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |", flush=True)
    step = training_step(options.threads, max(3, options.repeats // 4))
    print(f"\nA training step of 64 windows, {options.threads} threads: {step:.0f} ms")
    near = [compare_on_cuda(kernels, options.repeats) for kernels in options.cuda]
    if not all(near):
        sys.exit(f"an answer on the GPU is further than {NEAR:g} from that without torch")


if __name__ == "__main__":
    main()
