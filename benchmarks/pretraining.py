"""Is masked pretraining of the signal's part worth it? Each fold is trained with and without it, and judged.

Tokenizer and time blocks see one lead of a window, two fifths of it blanked in pieces of 0.2 to 0.8 s, and a linear
layer has to say what was there. No label is asked for, so windows without any teach too; those of left-out patients do
not. Then the network is trained as always, from these weights instead of random ones.

    python -m benchmarks.pretraining --base weights/training/all.json [--steps 1000] [--pretrain 1500]
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.ablations.__main__ import FOLDS
from benchmarks.ablations.harness import Row, fold_config, run_fold, write
from benchmarks.ablations.variants import REFERENCE, Variant, chosen
from ecg.leads import N_LEADS
from models.inputs import SAMPLES, TOKENS
from models.network.config import SIGNAL_UNIT
from models.network.torch_network import Network
from wardbeat.training import config as configs
from wardbeat.training.config import TrainingConfig
from wardbeat.training.sampler import CachedDataset, Split, load_cache, splits

BLANKED = 0.4  # of the window
PIECE = (2, 9)  # tokens of 0.1 s, the end excluded
STATE = "pretrained.pt"
PER_TOKEN = SAMPLES // TOKENS
State = dict[str, Tensor]


class Masked(nn.Module):
    """The signal's part of a network, and what says the samples of each token."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.tokenizer, self.blocks = network.tokenizer, network.blocks
        self.say = nn.Linear(network.config.d, PER_TOKEN)

    def forward(self, signal: Tensor, lead: Tensor, blank: Tensor) -> Tensor:
        """Mean error, in the tokenizer's unit, of (b, 1000) signals of leads (b,) where ``blank`` (b, 100) is true."""
        b = len(signal)
        window = torch.arange(b)
        leads = torch.zeros(b, N_LEADS, dtype=torch.bool).index_put((window, lead), torch.tensor(True))
        seen = torch.where(blank.repeat_interleave(PER_TOKEN, 1), 0.0, signal)
        x, _ = self.tokenizer(seen, window, lead, leads)
        for block in self.blocks:
            x = block(x)
        wanted = (signal / SIGNAL_UNIT).view(b, TOKENS, PER_TOKEN)
        return F.smooth_l1_loss(self.say(x)[blank], wanted[blank])


def pretrain(config: TrainingConfig, steps: int, report: Callable[[str], None]) -> State:
    """Weights of tokenizer and time blocks after ``steps`` on the patients that ``config`` trains on.

    Raises:
        ValueError: no window with a signal is left.
    """
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    datasets = load_cache(config)
    split = splits(datasets, config)
    drawn = [(d, _by_subject(d, split[d.name] == Split.TRAIN)) for d in datasets]
    drawn = [(d, subjects) for d, subjects in drawn if subjects]
    if not drawn:
        raise ValueError(f"no signal of {config.cache} is left to pretrain on")
    share = np.sqrt([len(subjects) for _, subjects in drawn])
    masked = Masked(Network(config.network, config.kernels, normed=True))
    optimizer = torch.optim.AdamW(masked.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, steps, pct_start=config.warmup)
    for step in range(steps):
        rng = np.random.default_rng((config.seed, step, 4))
        rows = [_row(*drawn[i], rng) for i in rng.choice(len(drawn), config.batch, p=share / share.sum())]
        signal = torch.from_numpy(np.stack([dataset.signal[row] for dataset, row in rows]).astype(np.float32))
        lead = torch.tensor([int(dataset.lead[row]) for dataset, row in rows])
        loss = masked(signal, lead, torch.from_numpy(blanks(config.batch, rng)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(masked.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            report(f"pretraining, step {step + 1}: {float(loss.detach()):.4f}")
    return {name: value for name, value in masked.state_dict().items() if not name.startswith("say.")}


def blanks(n: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(n, 100) which tokens are blanked: pieces of 0.2 to 0.8 s, ``BLANKED`` of each window or a little more."""
    out = np.zeros((n, TOKENS), np.bool_)
    for row in out:
        while row.mean() < BLANKED:
            first = int(rng.integers(TOKENS))
            row[first : first + int(rng.integers(*PIECE))] = True
    return out


def _by_subject(dataset: CachedDataset, mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Of each subject, the rows of ``signal`` that belong to windows of the mask."""
    _, subject = np.unique(dataset.subject, return_inverse=True)
    counts = np.diff(dataset.start)
    of = np.repeat(np.where(mask, subject, -1), counts)
    return [rows for rows in (np.flatnonzero(of == s) for s in np.unique(subject[mask])) if len(rows)]


def _row(
    dataset: CachedDataset, subjects: list[npt.NDArray[np.int64]], rng: np.random.Generator
) -> tuple[CachedDataset, int]:
    return dataset, int(rng.choice(subjects[rng.integers(len(subjects))]))


def started(state: State) -> type[Network]:
    """Networks that begin with these weights."""

    class Started(Network):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[arg-type]
            own = self.state_dict()
            self.load_state_dict({**own, **{name: value for name, value in state.items() if name in own}})

    return Started


def compare(base: TrainingConfig, out: Path, left_out: tuple[str, ...], steps: int, draws: int) -> list[Row]:
    """One fold without and with pretraining of ``steps``; what is there already is not made again."""

    def report(line: str) -> None:
        print(line, flush=True)

    (reference,) = chosen([REFERENCE])
    path = out / "+".join(left_out) / STATE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(pretrain(fold_config(base, out, left_out, reference), steps, report), path)
    about = f"tokenizer and time blocks pretrained for {steps} steps"
    pretrained = Variant("pretrained", about, kind=started(torch.load(path, weights_only=True)))
    return run_fold(base, out, left_out, (reference, pretrained), draws=draws, report=report)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the table is written, 2 for what cannot be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining")
    parser.add_argument("--base", type=Path, required=True, help="config.json of a training run")
    parser.add_argument("--out", type=Path, default=Path(".cache/pretraining"), help="folder of runs and tables")
    parser.add_argument("--steps", type=int, default=1000, help="of each network")
    parser.add_argument("--pretrain", type=int, default=1500, help="steps of pretraining")
    parser.add_argument("--leave-out", action="append", help=f"a fold (default {' and '.join(FOLDS)})")
    parser.add_argument("--draws", type=int, default=300, help="of patients, for the intervals")
    asked = parser.parse_args(arguments)
    try:
        base = replace(configs.load(asked.base), steps=asked.steps, check_steps=asked.steps, check_windows=20)
        rows: list[Row] = []
        for fold in asked.leave_out or FOLDS:
            rows += compare(base, asked.out, tuple(fold.split(",")), asked.pretrain, asked.draws)
            write(asked.out, rows, base)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
