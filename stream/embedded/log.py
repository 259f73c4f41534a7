"""The log of the embedded engine: Valkey Streams, a hash of checkpoints, and a lease that lets one worker write."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from typing import cast

import redis.asyncio as redis

from stream.engine import Batch
from stream.store import StoreWriter
from stream.wire import encode_alarm, encode_deadletter, encode_finding

log = logging.getLogger(__name__)

KEPT_FINDINGS = 20_000  # some minutes of fifty beds, for whoever follows them
KEPT_DEADLETTERS = 1_000
LEASE_MS = 4_000  # a worker that died is replaced after this long: shorter than the six seconds a nurse may wait
RETRY_S = 0.2
SEQ_BITS = 20  # entries of one millisecond: a million, more than the server can add

_SAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
"""
_RENEW = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class LeaseLostError(RuntimeError):
    """Another worker owns the ward now."""


def position_of(entry: bytes) -> int:
    """A Stream entry id (``ms-seq``) as one number that grows as the ids do."""
    ms, seq = entry.split(b"-")
    return int(ms) << SEQ_BITS | int(seq)


def entry_of(position: int) -> str:
    """The entry id of a position."""
    return f"{position >> SEQ_BITS}-{position & ((1 << SEQ_BITS) - 1)}"


async def read_stream(
    client: redis.Redis, key: str, after: bytes | str, *, count: int, block_ms: int
) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Entries of the Stream ``key`` after the id ``after``, waiting up to ``block_ms`` for the first."""
    answer = await client.xread({key: after}, count=count, block=block_ms)
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", answer[0][1]) if answer else []  # type: ignore[index]


class Keys:
    """Names of the embedded log's keys."""

    def __init__(self, prefix: str) -> None:
        self.chunks = f"{prefix}log:ecg.chunks"
        self.findings = f"{prefix}log:ecg.findings"
        self.deadletters = f"{prefix}log:ecg.deadletters"
        self.checkpoints = f"{prefix}log:ecg.checkpoints"
        self.lease = f"{prefix}log:lease"


class EmbeddedLog:
    """``stream.engine.Log`` on Valkey. Every call is repeated until the server answers."""

    def __init__(self, client: redis.Redis, store: StoreWriter, keys: Keys, worker: str) -> None:
        self._client = client
        self._store = store
        self._keys = keys
        self._owner = f"{worker}/{uuid.uuid4().hex}"  # two workers that were given one name are still two

    async def hold_lease(self) -> bool:
        """Take or renew the lease; False while another worker holds it."""
        return bool(await self._client.eval(_RENEW, 1, self._keys.lease, self._owner, str(LEASE_MS)))

    async def release_lease(self) -> None:
        """Let the next worker in at once."""
        await self._client.eval(_RELEASE, 1, self._keys.lease, self._owner)

    async def load_checkpoints(self, partition: int) -> dict[str, bytes]:
        """See ``Log``. There is one partition."""
        del partition
        stored = cast("dict[bytes, bytes]", await self._client.hgetall(self._keys.checkpoints))
        return {bed.decode(): data for bed, data in stored.items()}

    async def publish(self, partition: int, batch: Batch) -> None:
        """See ``Log``. The stream of alarms is the log of alarms; an event that stands there already is not added."""
        del partition
        if not (batch.alarms or batch.findings or batch.deadletters):
            return
        while True:
            try:
                if batch.alarms:
                    await self._store.append_alarms([(event.event, encode_alarm(event)) for event in batch.alarms])
                async with self._client.pipeline(transaction=False) as pipe:
                    for finding in batch.findings:
                        pipe.xadd(self._keys.findings, {"v": encode_finding(finding)}, maxlen=KEPT_FINDINGS)
                    for letter in batch.deadletters:
                        pipe.xadd(self._keys.deadletters, {"v": encode_deadletter(letter)}, maxlen=KEPT_DEADLETTERS)
                    await pipe.execute()
                return
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                log.warning("the log does not answer, trying again: %s", error)
                await asyncio.sleep(RETRY_S)

    async def save_checkpoints(self, partition: int, checkpoints: Mapping[str, bytes]) -> None:
        """See ``Log``. Raises LeaseLostError where another worker took over: its state must not be overwritten."""
        del partition
        fields = [item for pair in checkpoints.items() for item in pair]
        saved = await self._client.eval(_SAVE, 2, self._keys.lease, self._keys.checkpoints, self._owner, *fields)
        if not saved:
            raise LeaseLostError(f"{self._owner} no longer holds the lease")

    async def commit(self, partition: int, position: int) -> None:
        """See ``Log``. What nobody needs is cut off."""
        del partition
        await self._client.xtrim(self._keys.chunks, minid=entry_of(position), approximate=False)
