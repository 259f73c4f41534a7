"""The Bi-Mamba network: in torch for training, in NumPy and Numba for the ward."""
