"""What the Kafka engine must be told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class KafkaConfig:
    """Where the log and the store are, and how this worker takes part.

    Attributes:
        bootstrap: ``host:port[,host:port…]`` of the brokers.
        redis: ``redis://`` or ``unix://`` address of the store.
        prefix: of all keys in the store.
        worker: this worker's name, unique in the ward.
        partitions: how many parts the beds are spread over; the same for the life of the topics.
        replication: copies of each partition, where the topics are still to be made.
        group: the consumer group that shares the partitions.
        static_member: the worker's name is its place in the group: killed and started again, it has its beds back
            after 4 s instead of 10, but they wait for it until the session times out even if it ends in good order.
        session_timeout_s: how long the group waits for a silent worker. Brokers refuse less than 6 s by default, and
            each second more is a second that the beds of a dead worker go unwatched.
        data_dir: where Faust keeps its (empty) directories.
    """

    bootstrap: str
    redis: str
    worker: str
    prefix: str = "wardbeat:"
    partitions: int = 8
    replication: int = 1
    group: str = "wardbeat"
    static_member: bool = False
    session_timeout_s: float = 6.0
    data_dir: Path = Path(".wardbeat")
