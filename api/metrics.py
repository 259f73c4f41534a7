"""``/metrics`` for Prometheus: what the workers count, how the beds stand, what this process does."""

import re
from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alarms.liveness import Connection
from api.auth import require
from api.board import now_ms
from api.ward import WardService, ward_of
from stream.states import WorkerState

router = APIRouter(tags=["health"])

GONE_MS = 600_000  # a worker that was silent for ten minutes was renamed or removed


class WardCollector(Collector):
    """The figures of one API process, made at each scrape."""

    def __init__(self, ward: WardService) -> None:
        self._ward = ward

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        board, hub, waves = self._ward.board, self._ward.hub, self._ward.waves
        service = board.service()
        yield gauge("wardbeat_cache_up", "1 while the store answers", service.cache == "up")
        yield gauge("wardbeat_ready", "1 while the ward is being watched", service.ready)
        yield gauge("wardbeat_alarms_active", "Alarms that have not ended", len(hub.active))
        beds = GaugeMetricFamily("wardbeat_beds", "Beds by connection", labels=["connection"])
        counts = board.connections()
        for connection in Connection:
            beds.add_metric([connection], counts[connection])
        yield beds
        clients = GaugeMetricFamily("wardbeat_api_clients", "Open sockets", labels=["socket"])
        clients.add_metric(["alarms"], hub.clients)
        clients.add_metric(["waves"], waves.clients)
        yield clients
        yield counter("wardbeat_api_wave_frames", "Wave frames taken from the store", waves.forwarded)
        yield counter("wardbeat_api_wave_frames_dropped", "Wave frames that slow clients lost", waves.dropped)
        yield counter("wardbeat_api_slow_clients", "Clients of alarms cut off as too slow", hub.slow_clients)
        yield counter("wardbeat_api_alarms_unreadable", "Entries of the log that could not be read", hub.unreadable)
        yield from worker_metrics([worker for worker in board.workers if now_ms() - worker.at < GONE_MS])


def worker_metrics(workers: list[WorkerState]) -> Iterator[Metric]:
    """What the workers say of themselves."""
    age = GaugeMetricFamily("wardbeat_worker_heartbeat_age_seconds", "Since its last heartbeat", labels=["worker"])
    backlog = GaugeMetricFamily("wardbeat_worker_backlog_seconds", "How far it is behind the log", labels=["worker"])
    beds = GaugeMetricFamily("wardbeat_worker_beds", "Beds that it serves", labels=["worker"])
    for worker in workers:
        age.add_metric([worker.worker], max(0.0, now_ms() - worker.at) / 1000)
        backlog.add_metric([worker.worker], worker.backlog_s)
        beds.add_metric([worker.worker], worker.beds)
    yield from (age, backlog, beds)
    for name in sorted({name for worker in workers for name in worker.counters}):
        family = CounterMetricFamily(
            "wardbeat_" + re.sub(r"\W", "_", name), f"Workers' counter {name!r}", labels=["worker"]
        )
        for worker in workers:
            if name in worker.counters:
                family.add_metric([worker.worker], worker.counters[name])
        yield family


def gauge(name: str, text: str, value: float) -> Metric:
    """One figure that goes up and down."""
    return GaugeMetricFamily(name, text, value=float(value))


def counter(name: str, text: str, value: float) -> Metric:
    """One figure that only grows."""
    return CounterMetricFamily(name, text, value=float(value))


@router.get("/metrics", summary="Figures for Prometheus")
async def metrics(request: Request) -> Response:
    """In the text format."""
    ward = ward_of(request)
    if not ward.config.open_metrics:
        await require("viewer")(request)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WardCollector(ward))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
