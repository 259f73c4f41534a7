"""How the API is set up."""

from dataclasses import dataclass
from pathlib import Path

from stream.store_keys import PREFIX

CONSOLE = Path(__file__).parent / "console"


@dataclass(frozen=True, kw_only=True)
class ApiConfig:
    """What the API is told.

    Attributes:
        redis_url: ``redis://`` or ``unix://`` address of the store.
        secret: signs the tokens, at least 32 bytes.
        prefix: of all keys in the store.
        console: folder of the console's static files.
        open_metrics: ``/metrics`` needs no token, for a scraper in a closed network.
        heartbeat_s: a socket of alarms is never silent for longer.
        queued_alarms: a client that lets more alarms wait is cut off; it can resume.
        send_timeout_s: so is one that takes nothing for this long.
    """

    redis_url: str
    secret: str
    prefix: str = PREFIX
    console: Path = CONSOLE
    open_metrics: bool = False
    heartbeat_s: float = 2.0
    queued_alarms: int = 1000
    send_timeout_s: float = 5.0
