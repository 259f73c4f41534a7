"""The front door: command line, the parts it starts by itself, the demo."""

import os

# The network's matrix products are small: a second thread of BLAS spends its time waiting, and that on a core which the
# broker, the cache or another worker needs. It is read when NumPy is loaded, so it stands before everything else.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
