"""Following the findings of the embedded log from now on."""

from collections.abc import AsyncIterator

import redis.asyncio as redis

from models.finding import Finding
from stream.embedded.log import Keys
from stream.wire import decode_finding


async def follow_findings(url: str, prefix: str) -> AsyncIterator[Finding]:
    """Findings as they are written, until the caller stops."""
    client = redis.from_url(url)
    key = Keys(prefix).findings
    last: bytes | str = "$"
    try:
        while True:
            answer = await client.xread({key: last}, count=512, block=500)
            for entry, fields in answer[0][1] if answer else ():
                last = entry
                yield decode_finding(fields[b"v"])
    finally:
        await client.aclose()
