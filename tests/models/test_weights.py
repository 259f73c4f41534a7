"""The file of weights: what was written comes back, and anything else is refused by name."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load, save

from models.features.minirocket import fit
from models.features.minirocket_leads import shared_config, tiled
from models.features.minirocket_parameters import MiniRocketParameters
from models.inputs import PPV_PER_LEAD
from models.network import weights
from models.network.config import NetworkConfig
from models.network.shapes import tensor_shapes
from models.network.weights import Model, WeightsError, load_model, save_model
from tests.models.unfitted import all_five, identity

CONFIG = NetworkConfig(d=16, narrow=4, wide=8, blocks=1, d_state=4, headdim=8, heads=2, joint_hidden=8)
TRAINING = {"steps": 3, "databases": ["mitdb"], "seed": 7}
Arrays = dict[str, npt.NDArray[np.generic]]


def network(config: NetworkConfig = CONFIG) -> dict[str, npt.NDArray[np.float32]]:
    """Random tensors of the right names and shapes."""
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in tensor_shapes(config).items()}


def minirocket(features: int = PPV_PER_LEAD) -> MiniRocketParameters:
    """A fit to noise, the same for each lead."""
    windows = np.random.default_rng(2).integers(-300, 300, (4, 1, 1000)).astype(np.int16)
    wide = np.repeat(windows, 12, axis=1)
    return tiled(fit(wide, np.ones(wide.shape, np.bool_), shared_config(100, features, 3.0)))


@pytest.fixture(scope="module")
def parameters() -> MiniRocketParameters:
    """Fitted once."""
    return minirocket()


@pytest.fixture
def model(tmp_path: Path, parameters: MiniRocketParameters) -> tuple[Path, Model]:
    """A model on disk, and as :func:`save_model` returned it."""
    path = tmp_path / "model.safetensors"
    calibration = replace(identity(), offset=np.linspace(-1, 1, 13))
    return path, save_model(path, network(), CONFIG, parameters, calibration, all_five(), TRAINING)


def rewrite(path: Path, change: Callable[[Arrays, dict[str, object]], None]) -> None:
    """Change tensors or header and let the hash say that all is well."""
    data = path.read_bytes()
    arrays: Arrays = {name: array.copy() for name, array in load(data).items()}
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["wardbeat"])
    change(arrays, header)
    sign(path, save(arrays, {"wardbeat": json.dumps(header)}))


def sign(path: Path, data: bytes) -> None:
    """Write bytes and their hash."""
    path.write_bytes(data)
    path.with_suffix(".sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  {path.name}\n")


def test_what_was_saved_comes_back(model: tuple[Path, Model], parameters: MiniRocketParameters) -> None:
    """Every tensor, the configuration and the training summary are what was given, bit by bit."""
    path, saved = model
    loaded = load_model(path)
    assert loaded.config == CONFIG
    assert loaded.training == TRAINING
    given = network()
    assert loaded.network.keys() == given.keys()
    assert all(np.array_equal(loaded.network[name], given[name]) for name in given)
    for group, expected in (
        (loaded.minirocket.arrays(), parameters.arrays()),
        (loaded.calibration.arrays(), saved.calibration.arrays()),
        (loaded.conformal.arrays(), all_five().arrays()),
    ):
        assert all(np.array_equal(group[name], expected[name]) for name in expected)
        assert all(group[name].dtype == expected[name].dtype for name in expected)


def test_the_name_is_the_hash_of_the_bytes(model: tuple[Path, Model]) -> None:
    """A finding's model string can be checked with sha256sum alone."""
    path, saved = model
    assert saved.name == "rhythm-2-" + hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    line = path.with_suffix(".sha256").read_text()
    assert line == f"{saved.sha256}  model.safetensors\n"


def test_the_same_model_makes_the_same_bytes(
    model: tuple[Path, Model], tmp_path: Path, parameters: MiniRocketParameters
) -> None:
    """The hash names what was trained: order of the tensors and time of writing leave it alone; a weight does not."""
    path, saved = model
    backwards = dict(reversed(network().items()))
    again = tmp_path / "again.safetensors"
    rest = (CONFIG, parameters, saved.calibration, saved.conformal, TRAINING)
    assert save_model(again, backwards, *rest).sha256 == saved.sha256
    assert again.read_bytes() == path.read_bytes()
    backwards["head.bias"] = backwards["head.bias"] + np.float32(1e-3)
    assert save_model(again, backwards, *rest).sha256 != saved.sha256


def test_an_altered_byte_is_refused_wherever_it_is(model: tuple[Path, Model]) -> None:
    """Header or tensors, first or last byte: the hash sees it, and the error names both hashes."""
    path, saved = model
    data = path.read_bytes()
    for at in (0, 9, len(data) // 2, len(data) - 1):
        altered = bytearray(data)
        altered[at] ^= 1
        path.write_bytes(bytes(altered))
        with pytest.raises(WeightsError, match=f"expected sha256 {saved.sha256}.*got [0-9a-f]{{64}}"):
            load_model(path)
    path.write_bytes(data[:-1])
    with pytest.raises(WeightsError, match="sha256"):
        load_model(path)


def test_a_missing_file_or_hash_is_an_error(model: tuple[Path, Model]) -> None:
    """Without its hash a file proves nothing; without the file there is no model."""
    path, _ = model
    path.with_suffix(".sha256").unlink()
    with pytest.raises(WeightsError, match=r"model\.sha256: cannot be read: No such file"):
        load_model(path)
    path.unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be read: No such file"):
        load_model(path)


@pytest.mark.parametrize(
    "line", ["", "abc  model.safetensors\n", "0" * 64 + "  other.safetensors\n", "G" * 64 + "  x\n"]
)
def test_a_hash_file_that_says_something_else_is_refused(model: tuple[Path, Model], line: str) -> None:
    """The error quotes what stands there."""
    path, _ = model
    path.with_suffix(".sha256").write_text(line)
    with pytest.raises(WeightsError, match=r"expected '<64 hex digits>  model\.safetensors', got"):
        load_model(path)


def set_version(_arrays: Arrays, header: dict[str, object]) -> None:
    """Of tomorrow."""
    header["version"] = 3


def drop_training(_arrays: Arrays, header: dict[str, object]) -> None:
    """A header without a part."""
    del header["training"]


def other_features(_arrays: Arrays, header: dict[str, object]) -> None:
    """Two RR features changed places."""
    agreed = header["agreed"]
    assert isinstance(agreed, dict)
    agreed["rr"][:2] = reversed(agreed["rr"][:2])


def before_conduction(_arrays: Arrays, header: dict[str, object]) -> None:
    """Weights of the 13 shape features of before there were features of conduction."""
    agreed = header["agreed"]
    assert isinstance(agreed, dict)
    del agreed["shape"][13:]


def other_config(_arrays: Arrays, header: dict[str, object]) -> None:
    """A switch that this code does not know."""
    config = header["config"]
    assert isinstance(config, dict)
    config["use_magic"] = True


def wider(_arrays: Arrays, header: dict[str, object]) -> None:
    """The configuration of a larger network."""
    config = header["config"]
    assert isinstance(config, dict)
    config["d_state"] = 8


def drop_tensor(arrays: Arrays, _header: dict[str, object]) -> None:
    """One tensor less."""
    del arrays["network.head.bias"]


def add_tensor(arrays: Arrays, _header: dict[str, object]) -> None:
    """One tensor more."""
    arrays["network.extra"] = np.zeros(1, np.float32)


def add_group(arrays: Arrays, _header: dict[str, object]) -> None:
    """A group that nobody reads."""
    arrays["teacher.weight"] = np.zeros(1, np.float32)


def half(arrays: Arrays, _header: dict[str, object]) -> None:
    """Half precision would be another network."""
    arrays["network.head.bias"] = arrays["network.head.bias"].astype(np.float16)


def nan(arrays: Arrays, _header: dict[str, object]) -> None:
    """A training that diverged."""
    arrays["network.head.weight"].reshape(-1)[3] = np.nan


def infinite(arrays: Arrays, _header: dict[str, object]) -> None:
    """The same in the calibration."""
    arrays["calibration.offset"][0] = np.inf


def falling(arrays: Arrays, _header: dict[str, object]) -> None:
    """A calibration that turns likely into unlikely."""
    arrays["calibration.slope"][0] = -1.0


def short(arrays: Arrays, _header: dict[str, object]) -> None:
    """MiniRocket with a bias too few."""
    arrays["minirocket.biases"] = arrays["minirocket.biases"][:-1]


def no_thresholds(arrays: Arrays, _header: dict[str, object]) -> None:
    """Prediction sets without thresholds."""
    del arrays["conformal.thresholds"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_version, "expected version 2, got 3"),
        (drop_training, "expected version, agreed, config and training in the header"),
        (
            other_features,
            "trained with other rr than this code has: expected 'rr_count_10s' at 0, got 'rr_mean",
        ),
        (before_conduction, "trained with other shape than this code has: expected 20 names, got 13"),
        (other_config, "config: expected .*got .*use_magic"),
        (wider, r"expected network\.blocks\.0\..* float32, got"),
        (drop_tensor, r"lacks \['head.bias'\]"),
        (add_tensor, r"unknown \['extra'\]"),
        (add_group, r"unknown tensor 'teacher\.weight'"),
        (half, r"expected network\.head\.bias \(13,\) float32, got \(13,\) float16"),
        (nan, r"1 of \d+ in 'network\.head\.weight' are not finite"),
        (infinite, r"1 of 13 in 'calibration\.offset' are not finite"),
        (falling, "slope: expected finite values, slopes above 0"),
        (short, "expected lengths"),
        (no_thresholds, "thresholds"),
    ],
)
def test_what_does_not_fit_this_code_is_refused_though_its_hash_is_right(
    model: tuple[Path, Model], change: Callable[[Arrays, dict[str, object]], None], message: str
) -> None:
    """A file from elsewhere or from another version must not judge a patient."""
    path, _ = model
    rewrite(path, change)
    with pytest.raises(WeightsError, match=message):
        load_model(path)


def test_other_files_are_not_weights(model: tuple[Path, Model]) -> None:
    """Rubbish, and a safetensors file of somebody else."""
    path, _ = model
    sign(path, b"rubbish that is longer than eight bytes")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_model(path)
    sign(path, save({"network.x": np.zeros(1, np.float32)}))
    with pytest.raises(WeightsError, match="not weights of Wardbeat"):
        load_model(path)


def test_what_must_not_be_shipped_is_not_written(model: tuple[Path, Model], parameters: MiniRocketParameters) -> None:
    """NaN, a missing tensor or too many bytes stop before the good file is touched."""
    path, saved = model
    rest = (parameters, saved.calibration, saved.conformal)
    diverged = network()
    diverged["head.weight"][0, 0] = np.nan
    with pytest.raises(WeightsError, match="not finite"):
        save_model(path, diverged, CONFIG, *rest, TRAINING)
    with pytest.raises(WeightsError, match="lacks"):
        save_model(path, network(), replace(CONFIG, blocks=2), *rest, TRAINING)
    with pytest.raises(WeightsError, match="expected 12 leads of 504 MiniRocket features, got 1008 in all"):
        save_model(path, network(), CONFIG, minirocket(84), saved.calibration, saved.conformal, TRAINING)
    with pytest.raises(WeightsError, match="must not name places on this machine, got cache '/home/me/cache'"):
        save_model(path, network(), CONFIG, *rest, {"config": {"cache": "/home/me/cache"}})
    large = replace(CONFIG, d=512, expand=4)
    with pytest.raises(WeightsError, match="expected at most 10000000 bytes"):
        save_model(path, network(large), large, *rest, TRAINING)
    assert load_model(path).sha256 == saved.sha256


def run(script: str, environment: dict[str, str]) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_folder_can_be_named(model: tuple[Path, Model]) -> None:
    """WARDBEAT_WEIGHTS stands in for the shipped folder; without it, it is the one beside the package."""
    path, saved = model
    script = (
        "from models.network.weights import default_path, load_model; print(default_path()); print(load_model().name)"
    )
    environment = {**os.environ, weights.FOLDER: str(path.parent)}
    assert run(script, environment) == f"{path}\n{saved.name}\n"
    expected = Path(weights.__file__).resolve().parents[2] / "weights" / "model.safetensors"
    if weights.FOLDER not in os.environ:
        assert weights.default_path() == expected


def test_loading_needs_no_torch(model: tuple[Path, Model]) -> None:
    """The CPU worker has none: reading weights may not import it."""
    path, _ = model
    script = (
        "import sys; from pathlib import Path; from models.network.weights import load_model; "
        f"load_model(Path({str(path)!r})); print('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"use_signal": False},
        {"use_minirocket": False},
        {"use_rhythm": False},
        {"use_context": False},
        {"fusion": "none"},
        {"time": "mamba"},
        {"time": "tcn"},
    ],
)
def test_shapes_are_those_of_the_torch_network(change: dict[str, Any]) -> None:
    """What is checked without torch is what training saves, in every ablation."""
    from models.network.torch_network import Network

    config = replace(CONFIG, **change)
    state = Network(config).state_dict()
    assert tensor_shapes(config) == {name: tuple(tensor.shape) for name, tensor in state.items()}
