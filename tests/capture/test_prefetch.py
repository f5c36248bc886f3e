"""`prefetch` keeps order, tells errors, and never leaves a thread behind."""

import threading
from collections.abc import Iterator

import pytest

from gatecam.capture.prefetch import prefetch
from gatecam.types import HELD_PIXELS


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_items_come_in_order_and_the_thread_ends(size):
    assert list(prefetch(iter(range(50)), size)) == list(range(50))
    assert not threads()


def test_items_are_made_ahead_but_never_more_than_size():
    made = []
    ahead = threading.Event()

    def source() -> Iterator[int]:
        for item in range(20):
            made.append(item)
            if item == 3:
                ahead.set()
            yield item

    items = prefetch(source(), 3)
    assert next(items) == 0
    assert ahead.wait(5)
    assert made == [0, 1, 2, 3]
    items.close()
    assert not threads()


def test_an_error_of_the_source_comes_after_the_items_before_it():
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    items = prefetch(source(), 8)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert not threads()


def test_the_source_runs_in_the_background():
    names = set()

    def source() -> Iterator[int]:
        names.add(threading.current_thread().name)
        yield 1

    list(prefetch(source(), 2))
    assert names == {"prefetch"}


def test_closing_ends_a_thread_that_waits_for_room():
    items = prefetch(iter(range(1000)), 1)
    next(items)
    items.close()
    assert not threads()


def test_an_error_of_the_consumer_ends_the_thread():
    def consume() -> None:
        for _ in prefetch(iter(range(1000)), 2):
            raise RuntimeError("the consumer's own")

    with pytest.raises(RuntimeError):
        consume()
    assert not threads()


def test_nothing_starts_before_the_first_item_is_asked_for():
    prefetch(iter(range(3)), 2)
    assert not threads()


def test_large_items_are_made_ahead_only_until_they_take_much_memory():
    made = []

    def source() -> Iterator[int]:
        for item in range(20):
            made.append(item)
            yield item

    items = prefetch(source(), 8, lambda item: HELD_PIXELS // 2)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert len(made) <= 5  # two taken, two that wait, one in the making
