"""Files that settings name: every kind of them is opened."""

from __future__ import annotations

from gatecam.settings.named_files import unreadable_files
from gatecam.settings.schema import Config

NAMED = {
    "mqtt": {"host": "broker.example", "user": "me", "password_file": "p", "tls": True, "ca_file": "a"},
    "webhook": {"url": "https://hooks.example/x", "secret_file": "s"},
    "chat": {"urls_file": "u"},
    "web": {"certificate": "c", "key": "k", "words_file": "w"},
    "classifier": {"weights": "f.safetensors"},
    "detector": {"weights": "d.safetensors"},
}


def test_every_file_that_a_setting_names_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config.model_validate(NAMED)
    keys = {
        *("mqtt.password_file", "mqtt.ca_file", "webhook.secret_file", "chat.urls_file", "web.certificate"),
        *("web.key", "web.words_file", "classifier.weights", "detector.weights"),
    }
    found = list(unreadable_files(config))
    assert {sentence.split(":")[0] for sentence in found} == keys
    assert (
        "web.key: k cannot be read (No such file or directory): correct its path or its permissions." in found
    )
    for name in ("p", "a", "s", "u", "c", "k", "w", "f.safetensors", "d.safetensors"):
        (tmp_path / name).write_text("x")
    assert list(unreadable_files(config)) == []


def test_the_defaults_name_no_file():
    assert list(unreadable_files(Config())) == []
