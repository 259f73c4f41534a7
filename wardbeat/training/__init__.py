"""Training: labels, cache, sampling, the run, and the rivals. Needs the `train` extra."""
