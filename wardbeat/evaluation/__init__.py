"""What the network is worth: metrics, episodes, intervals by patient, and the report of them. Pure but for ``run``."""
