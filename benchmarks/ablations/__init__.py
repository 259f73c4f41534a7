"""What each part of the rhythm network is worth, and what its rivals reach: ``python -m benchmarks.ablations``."""
