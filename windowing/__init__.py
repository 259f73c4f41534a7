"""Chunks in, windows out: order, gaps, rings, resampling. Pure, no I/O."""
