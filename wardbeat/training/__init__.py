"""Training: labels, cache, sampling, the run, and the rivals. Needs the `train` extra."""

import os

# Read when torch loads its OpenMP. Threads that spin while they wait trebled the CPU time of a step (0.9 → 3 s)
# where anything else ran on the two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
