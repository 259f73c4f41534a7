"""Ablations and rivals of the rhythm network, each trained alike and judged on left-out databases: run from the root.

A variant that is finished is not trained again, and one that was cut off goes on; ``--steps`` of all have to be alike.
Two files are written into ``--out`` after each fold: ``ablations.json``, a list of rows, and ``ablations.md``.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.ablations.harness import Row, run_fold, write
from benchmarks.ablations.variants import chosen
from wardbeat.training import config as configs
from wardbeat.training.config import TrainingConfig

FOLDS = ("ptbxl,cpsc2021", "cinc2017,afpdb")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is written, 2 for what cannot be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=__doc__)
    parser.add_argument("--cache", default=".cache/training", help="folder of the cached windows")
    parser.add_argument("--out", type=Path, default=Path(".cache/ablations"), help="folder of runs and tables")
    parser.add_argument("--base", type=Path, help="config.json of a training run, whose settings all variants take")
    parser.add_argument("--steps", type=int, default=500, help="of each network (default 500)")
    parser.add_argument("--seed", type=int, help="of all of it (default: the base's)")
    parser.add_argument("--batch", type=int, help="windows a step (default: the base's)")
    parser.add_argument("--trees", type=int, default=300, help="iterations of boosted trees (default 300)")
    parser.add_argument("--leave-out", action="append", help=f"a fold (default {' and '.join(FOLDS)})")
    parser.add_argument("--datasets", default="", help="to train on, by commas (default: all of the cache)")
    parser.add_argument("--variants", default="", help="by commas (default: all)")
    parser.add_argument("--draws", type=int, default=300, help="of patients, for the intervals (default 300)")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)

    def report(line: str) -> None:
        print(line, flush=True)

    rows: list[Row] = []
    try:
        base = configs.load(asked.base) if asked.base else TrainingConfig(cache=asked.cache, run="")
        base = replace(
            base,
            cache=asked.cache,
            datasets=_listed(asked.datasets),
            steps=asked.steps,
            max_minutes=None,
            seed=base.seed if asked.seed is None else asked.seed,
            batch=asked.batch or base.batch,
            check_steps=min(asked.steps, 250),
            check_windows=20,
            threads=asked.threads,
        )
        variants = chosen(list(_listed(asked.variants)))
        for fold in asked.leave_out or FOLDS:
            rows += run_fold(
                base, asked.out, _listed(fold), variants, trees=asked.trees, draws=asked.draws, report=report
            )
            write(asked.out, rows, base)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    report(f"written: {asked.out / 'ablations.json'}, {asked.out / 'ablations.md'}")
    return 0


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


if __name__ == "__main__":
    sys.exit(main())
