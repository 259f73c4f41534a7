"""Features and network: window in, finding out. Pure, no I/O but reading weights."""
