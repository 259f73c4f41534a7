"""Faults that a ward must survive. The oracle of each: what a client holds at the end equals the offline replay."""

import random
import signal
import time
from collections.abc import Iterator

import msgspec
import redis
from ward import SECRET, Listener, Ward, ward_of
from websockets.sync.client import connect

from api.auth import issue_token
from ecg.chunk import Chunk
from ecg.synthetic import Script, SyntheticPatient
from stream.engine import Source
from stream.wire import decode_chunk, encode_chunk
from wardbeat.feeding import now_ms, open_source, patient_chunks

KILLS = 10


def started(ward: Ward) -> Listener:
    """The ward with one worker, the API and a listener."""
    ward.start_worker()
    ward.start_api()
    listener = Listener(ward.url)
    ward.wait_for_worker()
    return listener


def test_worker_killed_ten_times(ward: Ward) -> None:
    """Protects every alarm of twenty beds from a worker that dies at random moments, ten times."""
    ward.static_member = True  # a supervisor starts the same worker again
    listener = started(ward)
    rng = random.Random(7)
    with ward.feeding(ward_of(20, 75)):
        kills = 0
        while kills < KILLS:
            time.sleep(rng.uniform(0.5, 4.0))
            ward.kill_worker()
            kills += 1
            time.sleep(rng.uniform(0.0, 0.5))
            ward.start_worker()
            ward.wait_for_worker()
        assert kills == KILLS
    ward.assert_nothing_lost(listener)
    listener.close()


def test_second_worker_joins_and_leaves(ward: Ward) -> None:
    """Protects alarms while beds move to a worker that joins, and back from one that leaves or is killed."""
    listener = started(ward)
    with ward.feeding(ward_of(20, 42)):
        time.sleep(6)
        ward.start_worker("worker-2")
        ward.wait_for_worker("worker-2")
        time.sleep(8)
        assert ward.kill_worker("worker-2", signal.SIGTERM) == 0, "a worker that is told to leaves in good order"
        time.sleep(6)
        ward.start_worker("worker-2")
        ward.wait_for_worker("worker-2")
        time.sleep(4)
        ward.kill_worker("worker-1")
    ward.assert_nothing_lost(listener)
    listener.close()


def test_broker_stopped(kafka_ward: Ward) -> None:
    """Protects alarms from a broker that hangs for 15 s, and from one that is killed and started again."""
    ward = kafka_ward
    listener = started(ward)
    with ward.feeding(ward_of(10, 48)):
        time.sleep(8)
        ward.kafka.freeze()
        time.sleep(15)
        ward.kafka.thaw()
        time.sleep(10)
        ward.kafka.kill()
        time.sleep(5)
        ward.kafka.start()
    ward.assert_nothing_lost(listener, 90)
    listener.close()


def test_cache_emptied(kafka_ward: Ward) -> None:
    """Protects the history from an emptied cache: it is projected again from the log under the same ids."""
    ward = kafka_ward
    listener = started(ward)
    client = redis.from_url(ward.settings.redis)
    with ward.feeding(ward_of(10, 28)):
        time.sleep(16)
        before = client.xrange(f"{ward.settings.prefix}alarms")
        assert before, "no alarm yet: emptying would prove nothing"
        client.flushall()
        ward.wait_for(
            lambda: client.xrange(f"{ward.settings.prefix}alarms", count=len(before)) == before, 10, "history is back"
        )
    ward.assert_nothing_lost(listener)
    late = Listener(ward.url)
    ward.assert_nothing_lost(late)
    late.close()
    listener.close()


def test_cache_killed_and_started_again(ward: Ward) -> None:
    """Protects alarms from a cache that dies for some seconds; on the embedded engine it is the log as well."""
    listener = started(ward)
    with ward.feeding(ward_of(10, 28)):
        time.sleep(11)
        if ward.engine == "kafka":
            ward.valkey.kill()
            time.sleep(4)
            ward.valkey.start()
        else:
            ward.valkey.kill()
            ward.valkey.start()
    ward.assert_nothing_lost(listener, 90)
    listener.close()


def test_api_restarted(ward: Ward) -> None:
    """Protects a listening client from an API that is killed and started again: it resumes and misses nothing."""
    listener = started(ward)
    with ward.feeding(ward_of(10, 28)):
        for _ in range(2):
            time.sleep(8)
            ward.stop_api(signal.SIGKILL)
            time.sleep(2)
            ward.start_api()
    ward.assert_nothing_lost(listener)
    listener.close()


class BadNetwork:
    """A way to the log that doubles, reorders, delays beyond the bound and loses chunks."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rng = random.Random(11)
        self._number = 0
        self._waiting: list[tuple[int, str, bytes]] = []

    def send(self, bed: str, value: bytes) -> None:
        """Send it, or not, or later, or twice."""
        self._number += 1
        fate = 0.5 if bed == "bed-90" or decode_chunk(value).final else self._rng.random()
        if fate < 0.1:
            later = self._number + self._rng.choice((8, 40, 80, 300))  # of eight beds: 0.2, 1, 2 and 7 s
            self._waiting.append((later, bed, value))
        elif fate > 0.05 + 0.1:
            self._source.send(bed, value)
        if fate > 0.92:
            self._source.send(bed, value)
        for item in [item for item in self._waiting if item[0] <= self._number]:
            self._waiting.remove(item)
            self._source.send(*item[1:])

    def flush(self) -> None:
        """Send on what was handed over."""
        self._source.flush()

    def close(self) -> None:
        """Let go; what still waits is lost."""
        self._source.close()


def restarting(bed: str) -> Iterator[Chunk]:
    """A monitor that begins its numbering again without saying so."""
    patient = SyntheticPatient(Script.parse("sinus(rate=70) 6s, asystole 6s, sinus(rate=70) 6s"), 5)
    epoch = now_ms()
    for _ in range(2):
        for chunk in patient_chunks(patient, bed, epoch):
            yield msgspec.structs.replace(chunk, final=False)


def test_mischievous_monitors(ward: Ward) -> None:
    """Protects alarms from duplicated, reordered, late, missing and unreadable chunks and from restarted numbering."""
    listener = started(ward)
    with ward.feeding([*ward_of(8, 36), restarting("bed-90")], through=BadNetwork):
        source = open_source(ward.settings)
        time.sleep(5)
        bad = encode_chunk(msgspec.structs.replace(ward.sent[0], fs=20))
        for junk in (b"not MessagePack", b"", bad):
            source.send("bed-01", junk)
        source.close()
    ward.assert_nothing_lost(listener)
    counters = [state["counters"] for state in ward.worker_states().values()]
    total = {name: sum(c.get(name, 0) for c in counters) for name in ("deadletters", "duplicates", "gaps", "restarts")}  # type: ignore[attr-defined]
    assert total["deadletters"] == 3, total
    assert total["restarts"] == 1, total
    assert total["duplicates"] > 10, total
    assert total["gaps"] > 10, total
    listener.close()


def test_console_that_does_not_read(ward: Ward) -> None:
    """Protects everybody else from a client that opens both sockets and never reads."""
    listener = started(ward)
    token = issue_token(SECRET, "deaf", "viewer", 600)
    headers = {"Authorization": f"Bearer {token}"}
    address = ward.url.replace("http", "ws")
    with (
        ward.feeding(ward_of(10, 20)),
        connect(f"{address}/ws/alarms?since=0", additional_headers=headers, max_queue=1),
        connect(f"{address}/ws/waves?beds=*", additional_headers=headers, max_queue=1),
    ):
        time.sleep(18)
    ward.assert_nothing_lost(listener)
    listener.close()


def test_dead_parts_show_on_every_bed(ward: Ward) -> None:
    """Protects nurses from a picture that looks alive: a dead worker is an INOP on each bed within seconds."""
    listener = started(ward)
    with ward.feeding(ward_of(4, 25)):
        ward.wait_for(lambda: len(connections(listener)) == 4, 10, "four beds in the status")
        ward.wait_for(lambda: connections(listener) == {"live"} or set(connections(listener)) == {"live"}, 10, "live")
        ward.kill_worker()
        killed = time.monotonic()
        ward.wait_for(lambda: set(connections(listener)) == {"unserved"}, 10, "every bed unserved")
        assert time.monotonic() - killed < 8
        ward.start_worker()
        ward.wait_for(lambda: set(connections(listener)) == {"live"}, 25, "every bed live again")
    ward.wait_for(lambda: set(connections(listener)) == {"offline"}, 10, "monitors that ended are offline")
    listener.close()


def connections(listener: Listener) -> list[str]:
    """Connection state of each bed in the newest status."""
    status = listener.status()
    return [bed["connection"] for bed in status["beds"]] if status else []  # type: ignore[attr-defined]
