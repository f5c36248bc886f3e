"""Settings that the operator's page changes while the file is read again: none is lost, none comes back."""

from __future__ import annotations

import errno
import threading
import time

import pytest

from gatecam.errors import ConfigError
from gatecam.kiosk.notify_socket import Notifier
from gatecam.live.control import Saving, SavingProblem
from gatecam.live.reload import Reloading
from gatecam.live.reports import Troubles
from gatecam.settings.loading import load
from gatecam.settings.schema import Config


class FakeLive:
    """Keeps what is applied."""

    def __init__(self) -> None:
        self.applied: list[Config] = []

    def apply(self, config: Config) -> None:
        self.applied.append(config)


def reloading(path, live: FakeLive, source: str | None = None) -> Reloading:
    return Reloading(load(path, {}), source, live, None, Notifier({}), Troubles())


PLACE = (0.1, 0.2, 0.3, 0.4)
LINE = "ignore: [[0.1, 0.2, 0.3, 0.4]]"


def test_a_change_of_the_page_holds_at_the_next_poll(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("policy: {remind_s: 20}")
    asked = reloading(file, live)
    asked.change("policy.remind_s", 33)
    asked.poll(0.0)
    assert [config.policy.remind_s for config in live.applied] == [33]
    assert asked.settings()["policy.remind_s"]["value"] == 33


def test_a_file_read_anew_is_not_undone_by_a_change_of_before(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("policy: {remind_s: 20}")
    asked = reloading(file, live)
    file.write_text("policy: {remind_s: 50}")
    asked.ask()
    live.apply = lambda config: (live.applied.append(config), meanwhile.set(), changed.wait(10))  # type: ignore[method-assign]
    meanwhile, changed = threading.Event(), threading.Event()

    def change() -> None:
        meanwhile.wait(10)
        asked.change("policy.cooldown_s", 7)
        changed.set()

    page = threading.Thread(target=change)
    page.start()
    asked.poll(1.0)
    page.join()
    asked.poll(1.1)
    assert [(one.policy.remind_s, one.policy.cooldown_s) for one in live.applied][-1] == (50, 7)


def test_no_change_is_lost_among_many_threads(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("{}")
    asked = reloading(file, live)
    names = ("policy.remind_s", "policy.cooldown_s", "tracker.settle_s")
    threads = [
        threading.Thread(target=lambda name=name: [asked.change(name, 1 + i / 1000) for i in range(1000)])
        for name in names
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        asked.poll(0.0)
    asked.poll(0.0)
    told = asked.settings()
    assert {told[name]["value"] for name in names} == {1.999}
    assert live.applied[-1].policy.cooldown_s == 1.999


def test_an_ignored_place_is_applied_at_once_and_saved(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("# mine\n")
    asked = reloading(file, live)
    asked.change("policy.remind_s", 33)
    assert asked.ignore("entrance", PLACE, True) == Saving(str(file), SavingProblem.NONE, LINE)
    assert asked.ignored() == {"entrance": (PLACE,)}
    for second in range(5):
        asked.poll(time.monotonic() + second)
    assert [config.detector.ignore for config in live.applied] == [(PLACE,)], "the file is not read again"
    assert live.applied[-1].policy.remind_s == 33
    assert load(file, {}).config.detector.ignore == (PLACE,)
    assert file.read_text().startswith("# mine\n")
    asked.ignore("entrance", PLACE, False)
    asked.poll(0.0)
    assert live.applied[-1].detector.ignore == load(file, {}).config.detector.ignore == ()


def test_what_somebody_else_saved_beside_an_ignored_place_is_read(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("web: {}\n")
    asked = reloading(file, live)
    file.write_text("policy: {remind_s: 50}\n")
    asked.ignore("entrance", PLACE, True)
    for second in range(5):
        asked.poll(time.monotonic() + second)
    assert (live.applied[-1].policy.remind_s, live.applied[-1].detector.ignore) == (50, (PLACE,))


@pytest.mark.parametrize(
    ("source", "has_file", "problem"),
    [
        (None, False, SavingProblem.NO_FILE),
        ("1", True, SavingProblem.OTHER_CAMERA),
        (None, True, SavingProblem.NOT_WRITABLE),
    ],
)
def test_a_place_that_cannot_be_saved_holds_until_the_restart(
    tmp_path, monkeypatch, source, has_file, problem
):
    monkeypatch.chdir(tmp_path)
    file, live = tmp_path / "config.yaml", FakeLive()
    if has_file:
        file.write_text("web: {}\n")

    def fail(*paths) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("os.replace", fail)
    asked = reloading(None, live, source)
    assert asked.ignore("entrance", PLACE, True) == Saving("config.yaml" if has_file else "", problem, LINE)
    asked.poll(0.0)
    assert live.applied[-1].detector.ignore == (PLACE,)
    assert not has_file or file.read_text() == "web: {}\n"


@pytest.mark.parametrize(
    ("camera", "place", "expected"),
    [
        ("back", PLACE, "'back': expected one of the cameras entrance"),
        ("entrance", (0.5, 0.0, 0.5, 1.0), "expected x2 above x1"),
        ("entrance", (0.0, 0.0, 1.5, 1.0), "less than or equal to 1"),
    ],
)
def test_a_place_that_cannot_be_is_refused(tmp_path, camera, place, expected):
    file = tmp_path / "config.yaml"
    file.write_text("web: {}\n")
    asked = reloading(file, FakeLive())
    with pytest.raises(ConfigError, match=expected):
        asked.ignore(camera, place, True)
    assert (file.read_text(), asked.ignored()) == ("web: {}\n", {"entrance": ()})
