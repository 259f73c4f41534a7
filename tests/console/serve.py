"""The real API as a process of its own, so that a test can kill it: ``serve.py PORT STORE SECRET``."""

import sys

from api.config import ApiConfig
from api.serve import serve

if __name__ == "__main__":
    port, store, secret = sys.argv[1:]
    serve(ApiConfig(redis_url=store, secret=secret), port=int(port))
