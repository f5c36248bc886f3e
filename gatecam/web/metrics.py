"""Serve the program's health at `/metrics` in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

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
from gatecam.live.health import CameraHealth, Health, QueueHealth
from gatecam.runtime.telemetry import BOUNDS_S, StageHistogram
from gatecam.types import EventKind


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
        yield from _of_queues(health.queues)
        yield _of_stages(self._running.stages())


def _of_program(health: Health) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "gatecam", "The running program.", value={"version": health.version, "device": health.device}
    )
    yield GaugeMetricFamily("gatecam_up_seconds", "Time since the start.", health.up_s)
    yield GaugeMetricFamily("gatecam_troubles", "Current faults that stop no camera.", len(health.troubles))
    if health.memory_mib is not None:
        yield GaugeMetricFamily("gatecam_memory_bytes", "Memory in use.", health.memory_mib * 2**20)
    if health.open_files is not None:
        yield GaugeMetricFamily("gatecam_open_files", "Open files, sockets and pipes.", health.open_files)

    if health.cores_in_use is not None:
        yield GaugeMetricFamily(
            "gatecam_cores_in_use_ratio", "Share of the cores in use.", health.cores_in_use
        )
    if health.free_disk_mb is not None:
        yield GaugeMetricFamily(
            "gatecam_disk_free_bytes", "Free disk space for the store.", health.free_disk_mb * 1e6
        )


def _of_cameras(cameras: tuple[CameraHealth, ...]) -> Iterator[Metric]:
    label = ["camera"]
    frames = CounterMetricFamily("gatecam_frames", "Frames judged.", labels=label)
    dropped = CounterMetricFamily(
        "gatecam_frames_dropped", "Frames skipped because newer ones had come.", labels=label
    )
    restarts = CounterMetricFamily("gatecam_reader_restarts", "Restarts of a camera's reader.", labels=label)
    sees = GaugeMetricFamily("gatecam_camera_sees", "1 if a camera gives usable pictures.", labels=label)
    slow = GaugeMetricFamily(
        "gatecam_camera_too_slow", "1 if a camera's frames are judged too slowly.", labels=label
    )
    age = GaugeMetricFamily("gatecam_camera_age_seconds", "Age of the newest judged frame.", labels=label)
    faces = GaugeMetricFamily("gatecam_faces", "Faces in view.", labels=label)
    verdicts = CounterMetricFamily(
        "gatecam_verdicts", "People, by their first verdict.", labels=["camera", "verdict"]
    )
    alerts = CounterMetricFamily(
        "gatecam_alerts", "Alerts, about people and cameras.", labels=["camera", "kind"]
    )
    events = CounterMetricFamily("gatecam_events", "All events, by kind.", labels=["camera", "kind"])
    for camera in cameras:
        frames.add_metric([camera.name], camera.frames)
        dropped.add_metric([camera.name], camera.dropped)
        restarts.add_metric([camera.name], camera.restarts)
        sees.add_metric([camera.name], camera.sees)
        slow.add_metric([camera.name], bool(camera.slowness))
        faces.add_metric([camera.name], camera.faces)
        if camera.age_s is not None:
            age.add_metric([camera.name], camera.age_s)
        for verdict, number in camera.people.items():
            verdicts.add_metric([camera.name, verdict], number)
        for kind, number in camera.events.items():
            events.add_metric([camera.name, kind], number)
            if EventKind(kind).is_alert:
                alerts.add_metric([camera.name, kind], number)
    yield from (frames, dropped, restarts, sees, slow, age, faces, verdicts, alerts, events)


def _of_queues(queues: tuple[QueueHealth, ...]) -> Iterator[Metric]:
    label = ["output"]
    waiting = GaugeMetricFamily("gatecam_queue_length", "Events that wait for an output.", labels=label)
    sent = CounterMetricFamily("gatecam_output_sent", "Events that an output took.", labels=label)
    failed = CounterMetricFamily("gatecam_output_failures", "Failures of an output.", labels=label)
    dropped = CounterMetricFamily("gatecam_output_dropped", "Events that an output never gets.", labels=label)
    for queue in queues:
        waiting.add_metric([queue.name], queue.waiting)
        sent.add_metric([queue.name], queue.sent)
        failed.add_metric([queue.name], queue.failed)
        dropped.add_metric([queue.name], queue.dropped)
    yield from (waiting, sent, failed, dropped)


def _of_stages(stages: list[StageHistogram]) -> Metric:
    family = HistogramMetricFamily(
        "gatecam_stage_seconds", "Time that a stage takes for a frame.", labels=["stage"]
    )
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for stage in stages:
        name = stage.stage.replace(" ", "_")
        family.add_metric([name], list(zip(bounds, stage.counts, strict=True)), stage.sum_s)
    return family
