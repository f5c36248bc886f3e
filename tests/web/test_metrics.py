"""`/metrics` as Prometheus' own parser reads it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")
pytest.importorskip("fastapi")

from prometheus_client.parser import text_string_to_metric_families

from gatecam.settings.schema import Config
from gatecam.types import EventKind, Verdict
from gatecam.web.site import build_app
from tests.web.conftest import METRICS_BEARER, TOKENS, Browser


@pytest.fixture
def samples(browser) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = browser.ask("GET", "/metrics", headers=METRICS_BEARER)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("gatecam_info", {"version": "0.1.0", "device": "cpu"}, 1),
        ("gatecam_up_seconds", {}, 60),
        ("gatecam_troubles", {}, 0),
        ("gatecam_frames_total", {"camera": "gate"}, 500),
        ("gatecam_frames_dropped_total", {"camera": "gate"}, 0),
        ("gatecam_reader_restarts_total", {"camera": "gate"}, 0),
        ("gatecam_camera_sees", {"camera": "gate"}, 1),
        ("gatecam_camera_too_slow", {"camera": "gate"}, 0),
        ("gatecam_cores_in_use_ratio", {}, 0.5),
        ("gatecam_camera_age_seconds", {"camera": "gate"}, 0.1),
        ("gatecam_faces", {"camera": "gate"}, 0),
        ("gatecam_verdicts_total", {"camera": "gate", "verdict": "none"}, 3),
        ("gatecam_events_total", {"camera": "gate", "kind": "mask_ok"}, 1),
        ("gatecam_alerts_total", {"camera": "gate", "kind": "mask_missing"}, 3),
        ("gatecam_queue_length", {"output": "log"}, 2),
        ("gatecam_output_sent_total", {"output": "log"}, 40),
        ("gatecam_output_failures_total", {"output": "log"}, 1),
        ("gatecam_output_dropped_total", {"output": "log"}, 0),
        ("gatecam_stage_seconds_bucket", {"stage": "capture_to_decision", "le": "0.01"}, 0),
        ("gatecam_stage_seconds_bucket", {"stage": "capture_to_decision", "le": "0.025"}, 1),
        ("gatecam_stage_seconds_bucket", {"stage": "capture_to_decision", "le": "+Inf"}, 1),
        ("gatecam_stage_seconds_count", {"stage": "capture_to_decision"}, 1),
        ("gatecam_stage_seconds_sum", {"stage": "capture_to_decision"}, 0.02),
    ],
)
def test_what_the_program_knows_is_there(samples, name, labels, value):
    assert samples[name, tuple(sorted(labels.items()))] == pytest.approx(value)


def test_a_thank_you_is_no_alert(samples):
    assert ("gatecam_alerts_total", (("camera", "gate"), ("kind", "mask_ok"))) not in samples


def test_without_its_library_it_says_what_to_install(behind, monkeypatch):
    monkeypatch.setitem(sys.modules, "gatecam.web.metrics", None)
    browser = Browser(build_app(Config(), TOKENS, behind))
    answer = browser.ask("GET", "/metrics", headers=METRICS_BEARER)
    assert (answer.status_code, answer.text) == (
        501,
        "/metrics needs the extra [metrics]: install it with `pip install 'gatecam[metrics]'`.\n",
    )
    assert browser.ask("GET", "/metrics").status_code == 401


DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
SELECTOR = re.compile(r"(gatecam_\w+)(?:{([^}]*)})?")
VALUES = {
    "verdict": set(Verdict),
    "kind": set(EventKind),
    "stage": {"capture_to_decision"},
    "camera": {"$camera"},
}


def queries() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [
        one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"
    ]


def test_the_dashboard_asks_only_for_what_is_there(browser):
    answer = browser.ask("GET", "/metrics", headers=METRICS_BEARER).text
    families = text_string_to_metric_families(answer)
    known = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    known |= {
        "gatecam_memory_bytes": set(),
        "gatecam_disk_free_bytes": set(),
    }  # only real programs have these
    for query in queries():
        asked = SELECTOR.findall(query)
        assert asked, query
        assert query.count("(") == query.count(")"), query
        assert " - " not in query or query.startswith("clamp_min("), "rates are estimates"
        for name, conditions in asked:
            assert name in known, query
            for label, value in re.findall(r'(\w+)=~?"([^"]*)"', conditions):
                assert label in known[name], query
                assert value in VALUES[label], query
        for label in re.findall(r"by \((\w+)\)", query):
            assert all(label in known[name] for name, _ in asked), query
