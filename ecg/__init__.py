"""The ground: leads and units, chunks, beats, filters, quality, synthetic patients, records. Pure but for files."""
