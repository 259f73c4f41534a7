"""Beats, signal and findings in, alarms out: limits, lethal rules, lifecycle. Pure, no I/O."""
