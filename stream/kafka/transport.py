"""Faust's way to Kafka, with larger fetches.

Faust asks for every single message as soon as it is there (it sets no ``fetch_min_bytes``), and pays for a request, a
wake-up of two threads and a run of the pump each time: at 50 beds 30 % of a core instead of 23 %, all work included.
"""

import logging
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

log = logging.getLogger(__name__)

# A fetch returns when there are 64 kB or after 20 ms: at most that much is added to the delay of an alarm.
FETCH = {"_fetch_min_bytes": 64 << 10, "_fetch_max_wait_ms": 20}


class _Thread(AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if all(isinstance(getattr(consumer, name, None), int) for name in FETCH):
            for name, value in FETCH.items():
                setattr(consumer, name, value)
        else:
            log.warning("this aiokafka keeps its fetch sizes elsewhere: chunks are fetched one by one, at more cost")
        return consumer


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class BatchingTransport(Transport):
    """``faust.App.transport`` with larger fetches."""

    Consumer = _Consumer
