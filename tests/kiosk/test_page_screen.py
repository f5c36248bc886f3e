"""The page at the door waits for a screen, and for a browser that ends again and again."""

from __future__ import annotations

import pytest

from gatecam.kiosk.page_screen import POLL_S, show

BROWSER = ["/usr/bin/cage", "--", "/usr/bin/chromium", "http://127.0.0.1:8790/"]


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """The folder of the graphics cards, beside one for the times of the last starts."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    (tmp_path / "dri").mkdir()
    return tmp_path / "dri"


def test_without_a_screen_it_waits_and_says_so_once(cards, caplog):
    waited, became = [], []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1000:
            (cards / "card1").touch()

    show(BROWSER, cards, wait, lambda *given: became.append(given))
    assert waited == [POLL_S] * 1000
    assert caplog.messages == [f"There is no screen ({cards}/card*): the page waits until there is one."]
    assert became == [(BROWSER[0], BROWSER)]


def test_a_browser_that_ends_at_once_is_started_after_longer_and_longer_pauses(cards, caplog):
    (cards / "card0").touch()
    waited, became = [], []
    for _ in range(9):
        show(BROWSER, cards, waited.append, lambda *given: became.append(given))
    assert (waited, len(became)) == ([2.0, 4.0, 8.0, 16.0], 9)
    assert caplog.messages[0].endswith("within a minute: waits 2 s before it shows the page.")


def test_a_lock_that_a_machine_of_another_name_left_does_not_keep_the_browser_waiting(cards, tmp_path):
    (cards / "card0").touch()
    profile = tmp_path / "chromium"
    profile.mkdir()
    (profile / "SingletonLock").symlink_to("door-1-4711")
    (profile / "Preferences").touch()
    words = [*BROWSER[:-1], f"--user-data-dir={profile}", BROWSER[-1]]
    locked = []
    show(words, cards, become=lambda *given: locked.append((profile / "SingletonLock").is_symlink()))
    assert locked == [False]
    assert [path.name for path in profile.iterdir()] == ["Preferences"]


def test_a_browser_that_is_gone_is_told_in_a_sentence(cards, caplog):
    (cards / "card0").touch()
    with pytest.raises(SystemExit, match="1"):
        show([str(cards / "cage"), "--"], cards)
    why = f"{cards / 'cage'}: No such file or directory"
    assert caplog.messages == [f"The page cannot be shown ({why}): install the browser again."]
