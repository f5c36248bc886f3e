"""`gatecam token`: what lets into the pages, and links for browsers."""

from __future__ import annotations

import json
import stat
from urllib.parse import parse_qs, urlsplit

import pytest

WORDS = [("operator",), ("door",), ("metrics",)]


def test_each_has_its_own_token_which_stays(gatecam, tmp_path):
    tokens = [gatecam("token", *words).out.strip() for words in WORDS]
    assert len(set(tokens)) == 3
    assert min(map(len, tokens)) >= 32
    assert gatecam("token").out.strip() == tokens[0]
    file = tmp_path / "data" / "gatecam" / "web-tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {"operator", "door", "metrics", "key"}


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ("", "http://127.0.0.1:8790/login#token="),
        ("web: {host: 0.0.0.0, port: 80}", "http://127.0.0.1:80/login#token="),
        ("web: {host: 10.0.0.7}", "http://10.0.0.7:8790/login#token="),
        ("web: {host: '::1'}", "http://[::1]:8790/login#token="),
        ("web: {certificate: a.pem, key: b.pem}", "https://127.0.0.1:8790/login#token="),
    ],
)
def test_a_link_leads_to_the_login(gatecam, tmp_path, settings, start):
    (tmp_path / "config.yaml").write_text(settings)
    token = gatecam("token", "door").out.strip()
    assert gatecam("token", "door", "--link").out == f"{start}{token}\n"


def test_a_link_may_lead_to_the_page_of_one_of_several_cameras(gatecam, tmp_path):
    (tmp_path / "config.yaml").write_text("cameras: [{name: gate, source: 0}, {name: 문/앞 & 뒤, source: 1}]")
    link = gatecam("token", "door", "--link", "--camera", "문/앞 & 뒤").out.strip()
    place = parse_qs(urlsplit(link).query)["next"][0]
    assert parse_qs(urlsplit(place).query) == {"camera": ["문/앞 & 뒤"]}
    assert urlsplit(link).fragment == f"token={gatecam('token', 'door').out.strip()}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("door", "--link", "--camera", "moon"), "--camera: expected one of gate, yard, got 'moon'"),
        (("door", "--camera", "gate"), "--camera: chooses the page of a link to the door"),
        (("operator", "--link", "--camera", "gate"), "--camera: chooses the page of a link to the door"),
    ],
)
def test_a_camera_that_no_link_can_lead_to_is_told(gatecam, tmp_path, words, said):
    (tmp_path / "config.yaml").write_text("cameras: [{name: gate, source: 0}, {name: yard, source: 1}]")
    ended = gatecam("token", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_prometheus_has_no_link(gatecam):
    ended = gatecam("token", "metrics", "--link")
    assert (ended.code, ended.out) == (2, "")
    assert "--link: Prometheus has no browser" in ended.err


def test_a_damaged_file_is_one_sentence(gatecam, tmp_path):
    gatecam("token")
    (tmp_path / "data" / "gatecam" / "web-tokens.json").write_text("{")
    ended = gatecam("token")
    assert ended.code == 2
    assert "contains no tokens: delete it, and gatecam creates new ones." in ended.err
