"""Settings that the operator's page changes while the file is read again: none is lost, none comes back."""

from __future__ import annotations

import threading

from gatecam.kiosk.notify_socket import Notifier
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


def reloading(path, live: FakeLive) -> Reloading:
    return Reloading(load(path, {}), None, live, None, Notifier({}), Troubles())


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
