"""The ward core, its two engines, wire format, Redis store, feeders: wires the floors below into one flow."""
