"""What MiniRocket costs a bed each second, hop by hop, over whole windows, and in sktime: run it from the root.

One thread, one process, windows of 10 s that move on by 1 s, so a bed-second is one hop or one whole window. The time
depends on the number of leads and features, hardly on the signal, which is made up. Compiling is left out, and so are
filters and quantising. sktime gets the parameters that were fitted here, as float32, twelve leads and eight windows a
call of its inner function; its features use zero padding, which is the one difference. It has no notion of a missing
lead: fewer leads cost it as much. Figures are medians, taken one after another, so compare within one run only.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.features.minirocket import LIMIT, Samples, fit, transform
from models.features.minirocket_parameters import MiniRocketConfig, MiniRocketParameters
from models.features.minirocket_stream import MiniRocketStream

ROWS = (
    (MiniRocketConfig(), 12),
    (MiniRocketConfig(), 3),
    (MiniRocketConfig(rate=250), 12),
    (MiniRocketConfig(features=2016), 12),
    (MiniRocketConfig(features=2016), 3),
    (MiniRocketConfig(features=2016), 1),
    (MiniRocketConfig(features=2016, most_leads=1), 12),
    (MiniRocketConfig(features=2016, most_dilations=8), 12),
    (MiniRocketConfig(features=2016, rate=250), 12),
    (MiniRocketConfig(features=2016, rate=250, most_leads=1, most_dilations=8, reach_s=2, use_history=False), 12),
)


def signal(windows: int, samples: int) -> Samples:
    """(windows, 12, samples) steps: wander and noise."""
    rng = np.random.default_rng(1)
    walk = np.sin(np.cumsum(rng.normal(0, 0.1, (windows, N_LEADS, samples)), axis=-1))
    return np.clip(np.rint(100 * walk + rng.normal(0, 10, walk.shape)), -LIMIT, LIMIT).astype(np.int16)


def milliseconds(call: Callable[[], object], times: int) -> float:
    """Median of the calls after a first one."""
    call()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return 1000 * median(taken)


def hop_by_hop(parameters: MiniRocketParameters, x: Samples, mask: npt.NDArray[np.bool_], times: int) -> float:
    """One push of a second and one reading of the features."""
    stream = MiniRocketStream(parameters)
    hops = x.shape[1] // stream.hop
    at = 0

    def second() -> None:
        nonlocal at
        hop = slice(at * stream.hop, (at + 1) * stream.hop)
        stream.push(x[:, hop], mask[:, hop])
        stream.features()
        at = (at + 1) % hops

    for _ in range(hops):  # all of the memory holds signal
        second()
    taken = milliseconds(second, times * hops - 1)
    twice = np.concatenate([x, x], axis=1)[None], np.concatenate([mask, mask], axis=1)[None]
    np.testing.assert_array_equal(stream.features()[0], transform(*twice, parameters)[0][0])
    return taken


def in_sktime(parameters: MiniRocketParameters, windows: Samples, times: int) -> float:
    """One window of a call with all of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        from sktime.transformations.rocket._minirocket_multi_numba import _transform_multi
    from numba import set_num_threads

    set_num_threads(1)
    p = parameters
    theirs = (p.lead_counts, p.leads, p.dilations, p.per_dilation, p.biases.astype(np.float32))
    as_float = windows.astype(np.float32)
    return milliseconds(lambda: _transform_multi(as_float, theirs), times) / len(windows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of each whole-window measurement (default 3)")
    repeats = parser.parse_args().repeats
    print(
        "| features | Hz | leads | leads a feature | dilations | history s | hop ms | window ms | sktime ms | / hop |"
    )
    print("|---" * 10 + "|")
    for config, leads in ROWS:
        windows = signal(8, 2 * config.window)
        mask = np.ones(windows.shape, dtype=np.bool_)
        parameters = fit(windows, mask, config)
        mask[:, leads:] = False
        hop = hop_by_hop(parameters, windows[0], mask[0], 3 * repeats)
        whole = milliseconds(partial(transform, windows, mask, parameters), repeats) / len(windows)
        sktime = in_sktime(parameters, windows[..., -config.window :], repeats) if leads == N_LEADS else None
        theirs = f"{sktime:.1f} | {sktime / hop:.0f}" if sktime else "– | –"
        print(
            f"| {parameters.features} | {config.rate} | {leads} | 1–{config.most_leads} | {len(parameters.dilations)} |"
            f" {parameters.history / config.rate:.1f} | {hop:.2f} | {whole:.2f} | {theirs} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
