"""Masked pretraining: what it learns from, and that a network begins with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.pretraining import BLANKED, Masked, blanks, compare, pretrain, started
from models.network.torch_network import Network
from tests.benchmarks.conftest import LEFT_OUT, TINY
from wardbeat.training.config import TrainingConfig


def test_pieces_are_blanked_not_samples() -> None:
    """A blank shorter than a beat's wave would be told by its neighbours, without any knowledge of beats."""
    blank = blanks(50, np.random.default_rng(0))
    assert np.all((blank.mean(1) >= BLANKED) & (blank.mean(1) < BLANKED + 0.1))
    edges = np.diff(np.pad(blank, ((0, 0), (1, 1))).astype(int), axis=1)
    lengths = np.flatnonzero(edges.ravel() < 0) - np.flatnonzero(edges.ravel() > 0)
    assert np.median(lengths) >= 3


def test_what_is_blanked_is_not_seen() -> None:
    """The task must not give its answer away: other samples under a blank change nothing but the error."""
    torch.manual_seed(0)
    masked = Masked(Network(TINY, normed=True)).eval()
    signal = torch.randn(4, 1000) * 100
    blank = torch.from_numpy(blanks(4, np.random.default_rng(1)))
    said: list[torch.Tensor] = []
    masked.say.register_forward_hook(lambda _, __, output: said.append(output))
    with torch.inference_mode():
        for each in (signal, torch.where(blank.repeat_interleave(10, 1), -signal, signal)):
            masked(each, torch.tensor([0, 1, 6, 11]), blank)
        masked(signal.flip(1), torch.tensor([0, 1, 6, 11]), blank)
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


def test_left_out_patients_do_not_teach(base: TrainingConfig, cache: Path, tmp_path: Path) -> None:
    """ "Zero-shot" holds for signals without labels, too: other signals of the left-out database change no weight."""
    config = replace(base, left_out=LEFT_OUT, teacher=None, loss=replace(base.loss, distillation=0.0))
    one = pretrain(config, 2, [].append)
    for name in ("one", "cinc2017"):
        with np.load(cache / f"{name}.npz") as arrays:
            changed = {**arrays, "signal": arrays["signal"] + (50 if name == "cinc2017" else 0)}
        np.savez(tmp_path / f"{name}.npz", **changed)
    two = pretrain(replace(config, cache=str(tmp_path)), 2, [].append)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(ValueError, match="no signal"):
        pretrain(replace(config, datasets=("cinc2017",)), 2, [].append)


def test_a_network_begins_with_it_and_is_judged(base: TrainingConfig, tmp_path: Path) -> None:
    """A comparison of two networks that both began at random would say that pretraining is worth nothing."""
    config = replace(base, left_out=LEFT_OUT)
    state = pretrain(config, 2, [].append)
    network, plain = started(state)(TINY, normed=True), Network(TINY, normed=True)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in state.items())
    assert network.state_dict().keys() == plain.state_dict().keys()
    rows = compare(base, tmp_path, LEFT_OUT, 2, 20)
    assert [row["name"] for row in rows] == ["full", "pretrained"]
    assert rows[1]["difference"] is not None
    assert compare(base, tmp_path, LEFT_OUT, 2, 20) == rows
