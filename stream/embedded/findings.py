"""Following the findings of the embedded log from now on."""

from collections.abc import AsyncIterator

from models.finding import Finding
from stream.embedded.log import Keys, read_stream
from stream.store_keys import connect
from stream.wire import decode_finding


async def follow_findings(url: str, prefix: str) -> AsyncIterator[Finding]:
    """Findings as they are written, until the caller stops."""
    client = connect(url)
    key = Keys(prefix).findings
    last: bytes | str = "$"
    try:
        while True:
            for entry, fields in await read_stream(client, key, last, count=512, block_ms=500):
                last = entry
                yield decode_finding(fields[b"v"])
    finally:
        await client.aclose()
