"""The writing side of the store: alarms exactly once and in order, and what the screen shows."""

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, cast

import msgspec
import redis.asyncio as redis
from redis.typing import EncodableT, FieldT

from stream.states import BedState, WorkerState
from stream.store_keys import PREFIX, StoreKeys

if TYPE_CHECKING:
    from stream.waves import StripSecond

KEPT_ALARMS = 50_000  # a ward of 50 beds with 187 alarms a bed and day (FINDINGS of one ICU) fills it in days
KEPT_STRIP_S = 300
PROJECTED_LOG = "ecg.alarms"  # the name of the log where the caller names none

Outcome = Literal["added", "duplicate", "seen", "behind"]

# Shared by both scripts. A projection whose stream vanished has lost its memory of event ids too, and one of another
# log is worth nothing. XSETID lets a position that added nothing count as projected.
_LUA_HEAD = """
local stream, seen, log = KEYS[1], KEYS[2], KEYS[3]
local function top()
  if redis.call('EXISTS', stream) == 0 then
    redis.call('DEL', seen)
    return 0
  end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
end
local function add(n, event, id, kept)
  if redis.call('ZSCORE', seen, id) then return false end
  redis.call('XADD', stream, 'MAXLEN', '~', kept, n .. '-0', 'event', event)
  redis.call('ZADD', seen, n, id)
  if redis.call('ZCARD', seen) > redis.call('XLEN', stream) then
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][1]
    redis.call('ZREMRANGEBYSCORE', seen, '-inf', '(' .. string.match(first, '^%d+'))
  end
  return true
end
"""
_PROJECT = (
    _LUA_HEAD
    + """
local log_id, kept, previous = ARGV[1], ARGV[2], tonumber(ARGV[3])
local held = redis.call('GET', log)
if held ~= log_id then
  if held then redis.call('DEL', stream, seen) end
  redis.call('SET', log, log_id)
end
local last = top()
if last < previous then return {'behind', last} end
local answer = {}
for i = 4, #ARGV, 3 do
  local n = ARGV[i]
  if tonumber(n) <= last then
    answer[#answer + 1] = 'seen'
  else
    if add(n, ARGV[i + 1], ARGV[i + 2], kept) then
      answer[#answer + 1] = 'added'
    else
      redis.call('XSETID', stream, n .. '-0')
      answer[#answer + 1] = 'duplicate'
    end
    last = tonumber(n)
  end
end
answer[#answer + 1] = last
return answer
"""
)
_APPEND = (
    _LUA_HEAD
    + """
local log_id, kept = ARGV[1], ARGV[2]
local last = top()
if last == 0 then redis.call('SET', log, log_id) end
local answer = {}
for i = 3, #ARGV, 2 do
  local n = string.format('%.0f', last + 1)
  if add(n, ARGV[i + 1], ARGV[i], kept) then
    last = last + 1
    answer[#answer + 1] = n
  else
    answer[#answer + 1] = '-' .. redis.call('ZSCORE', seen, ARGV[i])
  end
end
return answer
"""
)


class StoreWriter:
    """Writes the store.

    Args:
        client: a ``redis.asyncio`` client; bytes, not decoded.
        prefix: of all keys.
        kept_alarms: about how many alarm events are kept.
    """

    def __init__(self, client: redis.Redis, prefix: str = PREFIX, *, kept_alarms: int = KEPT_ALARMS) -> None:
        self._client = client
        self._keys = StoreKeys(prefix)
        self._kept_alarms = kept_alarms
        self._alarm_keys = [self._keys.alarms, self._keys.alarm_events, self._keys.alarm_log]
        self._project = client.register_script(_PROJECT)
        self._append = client.register_script(_APPEND)

    async def project_alarms(
        self, entries: Sequence[tuple[int, bytes, str]], previous_n: int, *, log_id: str = PROJECTED_LOG
    ) -> tuple[list[Outcome], int]:
        """Project entries of the log of alarms in order, all or none, in one round trip.

        Each is ``added``; or a ``duplicate`` of an event that stands there under another number, and not added; or was
        ``seen`` in an earlier projection. If the store has not got as far as ``previous_n``, it was emptied: then all
        are ``behind``, nothing is added, and the caller projects again from the first entry that the log keeps.

        Args:
            entries: (n, event JSON, event id); n > 0, growing.
            previous_n: number of the log's entry before the first of these; 0 before the first that the log keeps.
            log_id: names the log and stays with it; a projection of a log with another name is thrown away.

        Returns:
            the outcome of each, and the number up to which the store now holds the log.
        """
        rows = [item for n, event, event_id in entries for item in (n, event, event_id)]
        answer = cast(
            "list[bytes | int]",
            await self._project(keys=self._alarm_keys, args=[log_id, self._kept_alarms, previous_n, *rows]),
        )
        top = cast(int, answer[-1])
        if answer[0] == b"behind":
            return ["behind"] * len(entries), top
        return [cast(Outcome, cast(bytes, word).decode()) for word in answer[:-1]], top

    async def append_alarms(self, events: Iterable[tuple[str, bytes]]) -> list[tuple[Outcome, int]]:
        """Append events to the stream of alarms where that is the log itself (embedded engine), in one round trip.

        Args:
            events: (event id, event JSON).

        Returns:
            for each ``added`` and its number, or ``duplicate`` and the number under which it stands already.
        """
        rows = [item for pair in events for item in pair]
        # A stream that begins anew is another log: its numbers mean other events than those of the lost one.
        args = [uuid.uuid4().hex, self._kept_alarms, *rows]
        answer = cast("list[bytes]", await self._append(keys=self._alarm_keys, args=args))
        return [("duplicate", -int(float(n))) if n.startswith(b"-") else ("added", int(n)) for n in answer]

    async def show(
        self,
        *,
        states: Sequence[BedState] = (),
        frames: Sequence[tuple[str, bytes]] = (),
        strips: "Sequence[tuple[str, StripSecond]]" = (),
        worker: WorkerState | None = None,
    ) -> None:
        """Write what the screen shows, in one round trip: bed states, wave frames, strip seconds, heartbeat."""
        encode = msgspec.json.encode
        async with self._client.pipeline(transaction=False) as pipe:
            if states:
                pipe.hset(self._keys.beds, mapping={state.bed: encode(state) for state in states})
            if worker is not None:
                pipe.hset(self._keys.workers, worker.worker, encode(worker).decode())
            for bed, frame in frames:
                pipe.publish(self._keys.waves(bed), frame)
            for bed, second in strips:
                pipe.xadd(self._keys.strip(bed), _strip_fields(second), maxlen=KEPT_STRIP_S, approximate=True)
            await pipe.execute()

    async def forget_worker(self, worker: str) -> None:
        """Take out the heartbeat of a worker that ends in good order."""
        await self._client.hdel(self._keys.workers, worker)


def _strip_fields(second: "StripSecond") -> dict[FieldT, EncodableT]:
    from stream.waves import STRIP_UV_PER_BIT  # brings numba, which the API has no use for

    return {
        "epoch": second.epoch,
        "end": second.end,
        "mask": bytes(second.leads),
        "uv_per_bit": STRIP_UV_PER_BIT,
        "data": second.data,
    }
