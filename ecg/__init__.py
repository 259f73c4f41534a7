"""The ground: leads and units, chunks, beats, filters, signal quality, synthetic patients, record files. Pure, no I/O but files."""
