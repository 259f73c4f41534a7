"""What the network costs: without torch, in torch, and a step of its training: run it from the root.

Weights and inputs are made up: the time depends on how many leads are known, not on what they show. One thread; CPU
time of the process, so that what else the machine does counts little; the median of the repeats, after a first call
that compiles. Both get the same batches and start from the arrays of a bed, and torch runs without gradients. Features
and signal are taken as given: what they cost stands in the other benchmarks. The training step is forward, backward and
AdamW for 64 windows of 4 leads on average, by the clock, with ``--threads``.

With ``--kernels`` the network is also run on the CUDA kernels of mamba_ssm and its answers are compared.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.network.batch import Batch
from models.network.config import NetworkConfig
from models.network.forward import Forward
from models.network.torch_network import Network, parameter_count, tensors
from tests.models.network_inputs import random_batch

ROWS = ((1, 12), (1, 3), (1, 1), (1, 0), (8, 12), (32, 12), (32, 3))
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


def compare_kernels(network: Network) -> None:
    """The largest difference between torch here and mamba_ssm on a CUDA device, by field."""
    kernels = Network(network.config, kernels="mamba_ssm").eval()
    kernels.load_state_dict(network.state_dict())
    batch = random_batch(8, leads=FOUR_LEADS)
    with torch.inference_mode():
        ours, theirs = network(tensors(batch)), kernels.cuda()(tensors(batch, "cuda"))
    for name, value in ours._asdict().items():
        print(f"mamba_ssm, {name}: largest difference {float((getattr(theirs, name).cpu() - value).abs().max()):.1e}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20, help="of each measurement (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="of the training step (default 2)")
    parser.add_argument("--kernels", action="store_true", help="compare with mamba_ssm; needs a CUDA device")
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
    if options.kernels:
        compare_kernels(network)


if __name__ == "__main__":
    main()
