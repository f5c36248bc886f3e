"""Serve the program's health at `/metrics` in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gatecam.live.control import Running
from gatecam.live.health import CameraHealth, Health
from gatecam.runtime.telemetry import BOUNDS_S, StageHistogram
from gatecam.types import EventKind

# Name, field of the health, and description
OF_CAMERA = (
    (CounterMetricFamily, "frames", "frames", "Frames judged."),
    (CounterMetricFamily, "frames_dropped", "dropped", "Frames skipped because newer ones had come."),
    (CounterMetricFamily, "reader_restarts", "restarts", "Restarts of a camera's reader."),
    (GaugeMetricFamily, "camera_sees", "sees", "1 if a camera gives usable pictures."),
    (GaugeMetricFamily, "camera_too_slow", "slowness", "1 if a camera's frames are judged too slowly."),
    (GaugeMetricFamily, "camera_age_seconds", "age_s", "Age of the newest judged frame."),
    (GaugeMetricFamily, "faces", "faces", "Faces in view."),
)
OF_QUEUE = (
    (GaugeMetricFamily, "queue_length", "waiting", "Events that wait for an output."),
    (CounterMetricFamily, "output_sent", "sent", "Events that an output took."),
    (CounterMetricFamily, "output_failures", "failed", "Failures of an output."),
    (CounterMetricFamily, "output_dropped", "dropped", "Events that an output never gets."),
)


def metrics_router(running: Running) -> APIRouter:
    """Build the route `/metrics`, which needs the metrics token or the operator's."""
    router = APIRouter(include_in_schema=False)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Program(running))

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


class _Program(Collector):
    """Reads the program's health for each scrape and keeps nothing."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def collect(self) -> Iterator[Metric]:
        """Yield all families of metrics."""
        health = self._running.health()
        yield from _of_program(health)
        yield from _of_cameras(health.cameras)
        yield from _families("output", health.queues, OF_QUEUE)
        yield _of_stages(self._running.stages())


def _of_program(health: Health) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "gatecam", "The running program.", value={"version": health.version, "device": health.device}
    )
    memory, disk = health.memory_mib, health.free_disk_mb
    for name, text, value in (
        ("up_seconds", "Time since the start.", health.up_s),
        ("troubles", "Current faults that stop no camera.", len(health.troubles)),
        ("memory_bytes", "Memory in use.", None if memory is None else memory * 2**20),
        ("open_files", "Open files, sockets and pipes.", health.open_files),
        ("cores_in_use_ratio", "Share of the cores in use.", health.cores_in_use),
        ("disk_free_bytes", "Free disk space for the store.", None if disk is None else disk * 1e6),
    ):
        if value is not None:
            yield GaugeMetricFamily(f"gatecam_{name}", text, value)


def _families(label: str, of: Sequence[Any], table: Sequence[tuple[Any, str, str, str]]) -> Iterator[Metric]:
    """Yield the families of a table for the cameras or outputs that have the fields in it."""
    for kind, name, field, text in table:
        family = kind(f"gatecam_{name}", text, labels=[label])
        for one in of:
            if (value := getattr(one, field)) is not None:
                family.add_metric([one.name], bool(value) if isinstance(value, str) else value)
        yield family


def _of_cameras(cameras: Sequence[CameraHealth]) -> Iterator[Metric]:
    yield from _families("camera", cameras, OF_CAMERA)
    verdicts = CounterMetricFamily(
        "gatecam_verdicts", "People, by their first verdict.", labels=["camera", "verdict"]
    )
    alerts = CounterMetricFamily(
        "gatecam_alerts", "Alerts, about people and cameras.", labels=["camera", "kind"]
    )
    events = CounterMetricFamily("gatecam_events", "All events, by kind.", labels=["camera", "kind"])
    for camera in cameras:
        for verdict, number in camera.people.items():
            verdicts.add_metric([camera.name, verdict], number)
        for kind, number in camera.events.items():
            events.add_metric([camera.name, kind], number)
            if EventKind(kind).is_alert:
                alerts.add_metric([camera.name, kind], number)
    yield from (verdicts, alerts, events)


def _of_stages(stages: list[StageHistogram]) -> Metric:
    family = HistogramMetricFamily(
        "gatecam_stage_seconds", "Time that a stage takes for a frame.", labels=["stage"]
    )
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for stage in stages:
        name = stage.stage.replace(" ", "_")
        family.add_metric([name], list(zip(bounds, stage.counts, strict=True)), stage.sum_s)
    return family
