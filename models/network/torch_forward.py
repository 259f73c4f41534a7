"""The torch network as the ward asks it, on a GPU: what ``models.network.forward.Forward`` is without torch."""

import numpy as np
import torch

from models.network.batch import Batch
from models.network.config import NetworkConfig
from models.network.forward import Result, Weights
from models.network.torch_network import Network, Output, tensors


class TorchForward:
    """The network with its weights on a device of torch; one call for the windows of many beds."""

    def __init__(self, weights: Weights, config: NetworkConfig, device: torch.device, kernels: str = "torch") -> None:
        """Put the network on ``device``.

        Args:
            weights: the state dict of ``torch_network.Network``.
            config: of the network.
            device: "cuda", or torch's CPU, where it can be compared with the other pass.
            kernels: of Mamba-2: "torch", or on a CUDA device "mamba_ssm".

        Raises:
            ImportError: mamba_ssm, or what it needs, is not installed.
            RuntimeError: the weights are not those of this network.
        """
        self._device = device
        self._network = Network(config, kernels)
        self._network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        self._network.to(device).eval()

    def __call__(self, batch: Batch) -> Result:
        """What is said of each window of the batch, as ``Forward`` does, to 1e-4; ValueError for none."""
        if not len(batch):
            raise ValueError("a batch needs one window at least, got 0")
        # One by one, since a product over more windows may add in another order: see Forward.
        windows = [self._judge(batch[at : at + 1]) for at in range(len(batch))]
        return Result(*(np.concatenate(parts) for parts in zip(*windows, strict=True)))

    def _judge(self, batch: Batch) -> Result:
        # TF32, which convolutions on a GPU use unless told otherwise, keeps 10 bits: 1e-3. Products do not use it.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            out: Output = self._network(tensors(batch, self._device))
            return Result(*(each.cpu().numpy() for each in out))
