"""schemathesis asks what the OpenAPI document allows, and what it forbids; nothing ends in a 5xx."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec

import pytest

pytest.importorskip("fastapi")
if find_spec("schemathesis") is None:
    pytest.skip("schemathesis is not installed", allow_module_level=True)

from tests.web.conftest import BEARER, HOST

HEADERS = {**BEARER, "Host": HOST}


@pytest.fixture
def api(site):
    """The document, asked for through the guard."""
    import schemathesis

    return schemathesis.openapi.from_asgi("/api/openapi.json", site, headers=HEADERS)


@pytest.mark.parametrize("name", ["positive", "negative"])
def test_no_request_ends_in_a_5xx(api, name):
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import GenerationMode

    mode = GenerationMode(name)
    statuses = set()
    for found in api.get_all_operations():
        asked = settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        )(given(case=found.ok().as_strategy(generation_mode=mode))(_ask(statuses)))
        with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
            asked()
    assert statuses >= ({200} if name == "positive" else {422})


def _ask(statuses: set[int]):
    def ask(case) -> None:
        answer = case.call(headers=HEADERS)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, (case, answer.text)
        assert answer.status_code != 401

    return ask


def test_the_document_names_all_that_the_operator_may_ask(api):
    assert set(api.raw_schema["paths"]) == {
        "/api/status",
        "/api/events",
        "/api/events.csv",
        "/api/events/{event_id}",
        "/api/events/{event_id}/answer",
        "/api/events/{event_id}/picture.jpg",
        "/api/events/{event_id}/video.mp4",
        "/api/feedback",
        "/api/people",
        "/api/settings",
        "/api/ignored",
        "/api/tests",
        "/api/tests/{name}",
        "/api/cameras/{name}/picture.jpg",
        "/api/account/password",
        "/api/statistics",
        "/api/statistics.csv",
        "/api/users",
        "/api/users/{name}",
        "/api/audit",
        "/api/cameras",
        "/api/cameras/remove",
        "/api/cameras/trial",
        "/api/cameras/usb",
        "/api/cameras/search",
        "/api/cameras/streams",
        "/api/zones",
    }
