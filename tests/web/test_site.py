"""The site as the program runs it: on a port, over the store, told by the frame loop."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi")

import httpx
from websockets.sync.client import connect

from gatecam.app import build_site
from gatecam.errors import MissingExtraError, OutputError
from gatecam.live.control import Running
from gatecam.live.health import Health
from gatecam.runtime.folders import state_folder
from gatecam.settings.schema import CameraConfig, Config, PrivacyConfig, StoreConfig, WebConfig
from gatecam.types import Frame, Presence, Round, Step, Verdict
from gatecam.web.tokens import load_tokens
from tests.cli.conftest import picture
from tests.streams import free_port

RUNNING = Running(
    lambda: Health("0", 1, 0.0, "cpu"),
    list,
    dict,
    lambda values: None,
    dict,
    lambda *asked: None,
    None,
    {},
    pytest.fail,
)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Config:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return Config(
        camera=CameraConfig(name="gate"),
        web=WebConfig(port=free_port(), fps=8),
        store=StoreConfig(path=str(tmp_path / "events.sqlite3")),
    )


def rounds(count: int) -> list[Round]:
    return [Round(i / 8, (Step(Frame("gate", i, i / 8, picture()), (), (), ()),), ()) for i in range(count)]


def test_pages_pictures_and_metrics_come_from_one_port(config, monkeypatch):
    # Another process searches
    monkeypatch.setattr("gatecam.vision.finder.LowFaceFinder.__init__", pytest.fail)
    with build_site(config, RUNNING) as site:
        operator = {"Authorization": f"Bearer {load_tokens(state_folder()).operator}"}
        assert httpx.get(site.urls[0], headers=operator).status_code == 200
        assert "gatecam_up_seconds" in httpx.get(f"{site.urls[0]}metrics", headers=operator).text
        assert httpx.get(f"{site.urls[0]}api/events").status_code == 401
        with connect(site.urls[0].replace("http", "ws") + "live", additional_headers=operator) as socket:
            assert json.loads(socket.recv(timeout=10))["people"] is None
            site.tell(Presence("gate", 1, Verdict.NONE))
            assert json.loads(socket.recv(timeout=10))["verdict"] == "none"
            site.apply(config.model_copy(update={"privacy": PrivacyConfig(blur_operator=False)}))
            for turn in rounds(6):
                site.note(turn)
            shown = next(said for said in socket if isinstance(said, bytes))  # states come meanwhile
            assert shown[:3] == b"\x00\xff\xd8"
    with pytest.raises(httpx.ConnectError):
        httpx.get(site.urls[0])


def test_a_port_in_use_is_told(config):
    with (
        build_site(config, RUNNING),
        pytest.raises(OutputError, match=r"choose another web\.host or web\.port"),
    ):
        build_site(config, RUNNING).__enter__()


def test_what_is_not_installed_is_named(config, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gatecam.web.site", None)
    with pytest.raises(MissingExtraError, match=r"\[web\]"):
        build_site(config, RUNNING)
