"""Settings that the operator's page changes while the file is read again: none is lost, none comes back."""

from __future__ import annotations

import errno
import threading
import time

import pytest

from gatecam.errors import ConfigError
from gatecam.kiosk.notify_socket import Notifier
from gatecam.live.control import Saving, SavingProblem
from gatecam.live.page_settings import Changed
from gatecam.live.reload import Reloading
from gatecam.live.reports import Troubles
from gatecam.pictures.page_words import page_words
from gatecam.settings.loading import load
from gatecam.settings.schema import Config


class FakeLive:
    """Keeps what is applied."""

    def __init__(self) -> None:
        self.applied: list[Config] = []
        self.refused: dict[str, str] = {}

    def apply(self, config: Config) -> None:
        self.applied.append(config)


def reloading(path, live: FakeLive, source: str | None = None) -> Reloading:
    return Reloading(load(path, {}), source, live, None, Notifier({}), Troubles())


PLACE = (0.1, 0.2, 0.3, 0.4)
LINE = "detector: {ignore: [[0.1, 0.2, 0.3, 0.4]]}"


def changed_place(before: str) -> Changed:
    return Changed("detector.ignore", before, "[[0.1, 0.2, 0.3, 0.4]]")


def test_a_change_of_the_page_holds_at_the_next_poll_and_after_the_next_start(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("policy: {remind_s: 20}")
    asked = reloading(file, live)
    saving = asked.change({"policy.remind_s": 33})
    assert saving.changed == (Changed("policy.remind_s", "20.0", "33.0"),)
    for second in range(5):
        asked.poll(time.monotonic() + second)
    assert [config.policy.remind_s for config in live.applied] == [33], "the file is not read again"
    assert asked.settings()["policy.remind_s"]["value"] == load(file, {}).config.policy.remind_s == 33


def test_a_camera_that_another_gatecam_uses_is_tried_again_until_it_is_free(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("policy: {remind_s: 20}")
    asked, start_s = reloading(file, live), time.monotonic()
    live.refused["entrance"] = "camera entrance is used by another gatecam."
    for after_s in range(1, 31):
        asked.poll(start_s + after_s)
    assert len(live.applied) == 3
    live.refused.clear()
    asked.poll(start_s + 60)
    assert len(live.applied) == 3


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
        asked.change({"policy.cooldown_s": 7})
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
        threading.Thread(target=lambda name=name: [asked.change({name: 1 + i / 10}) for i in range(10)])
        for name in names
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        asked.poll(0.0)
    asked.poll(0.0)
    told = asked.settings()
    assert {told[name]["value"] for name in names} == {1.9}
    assert live.applied[-1].policy.cooldown_s == load(file, {}).config.policy.cooldown_s == 1.9


def test_an_ignored_place_is_applied_at_once_and_saved(tmp_path):
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("# mine\n")
    asked = reloading(file, live)
    asked.change({"policy.remind_s": 33})
    saving = asked.ignore("entrance", PLACE, True)
    assert saving == Saving(str(file), SavingProblem.NONE, LINE, (changed_place("[]"),))
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


def test_a_file_that_somebody_broke_is_left_alone_and_said_to_have_a_mistake(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("web: {}\n")
    asked = reloading(file, FakeLive())
    file.write_text("web: {}\noops: [\n")
    problem = asked.change({"policy.remind_s": 20.0}).problem
    assert "is missing or has a mistake" in page_words("en")[f"unsaved.{problem}"]
    assert file.read_text() == "web: {}\noops: [\n"
    file.unlink()
    assert asked.change({"policy.remind_s": 30.0}).problem == problem
    assert not file.exists(), "it would lack all other settings"


@pytest.mark.parametrize(
    ("source", "has_file", "problem"),
    [
        ("1", True, SavingProblem.OTHER_CAMERA),
        (None, True, SavingProblem.NOT_WRITABLE),
        (None, False, SavingProblem.NOT_WRITABLE),
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
    saving = asked.ignore("entrance", PLACE, True)
    assert saving == Saving(str(file), problem, LINE, (changed_place("[]"),))
    asked.poll(0.0)
    assert live.applied[-1].detector.ignore == (PLACE,)
    assert not has_file or file.read_text() == "web: {}\n"


def test_without_a_settings_file_a_change_begins_one_which_is_read_from_then_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    live = FakeLive()
    asked = reloading(None, live)
    assert asked.change({"policy.remind_s": 33}).problem is SavingProblem.NONE
    assert load(None, {}).config.policy.remind_s == 33
    assert asked.change({"policy.cooldown_s": 7}).problem is SavingProblem.NONE
    (tmp_path / "config.yaml").write_text("policy: {remind_s: 50}\n")
    for second in range(5):
        asked.poll(time.monotonic() + second)
    assert (live.applied[-1].policy.remind_s, live.applied[-1].policy.cooldown_s) == (50, 3)


def test_a_file_that_appeared_since_the_start_is_not_mixed_with_what_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = reloading(None, FakeLive())
    (tmp_path / "config.yaml").write_text("command: {run: [evil]}\n")
    assert asked.change({"policy.remind_s": 33}).problem is SavingProblem.NOT_WRITABLE
    assert (tmp_path / "config.yaml").read_text() == "command: {run: [evil]}\n"


def test_a_value_that_the_environment_overrides_holds_but_is_not_saved_in_vain(tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_POLICY_REMIND_S", "20")
    file, live = tmp_path / "config.yaml", FakeLive()
    file.write_text("{}")
    asked = reloading(file, live)
    assert asked.change({"policy.remind_s": 33}).problem is SavingProblem.OVERRIDDEN
    asked.poll(0.0)
    assert live.applied[-1].policy.remind_s == 33


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
