"""Runs an iterator ahead of its consumer, so that decoding overlaps analysis."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from gatecam.types import HELD_PIXELS

T = TypeVar("T")


def prefetch(
    items: Iterator[T], size: int, pixels: Callable[[T], int] | None = None
) -> Generator[T, None, None]:
    """Yield the same items in the same order, up to `size` of them made ahead by one background thread.

    Where `pixels` tells how many an item has, no more are made ahead than have `HELD_PIXELS` together.

    The thread starts with the first item asked for. It ends with the items, or when the returned
    generator is closed or dropped; closing waits for the item in the making. What `items` raises is
    raised here, after the items before it.
    """
    buffer = _Buffer[T](size, pixels or (lambda item: 0))
    thread = threading.Thread(target=buffer.fill, args=(items,), name="prefetch", daemon=True)
    thread.start()
    try:
        yield from buffer.drain()
    finally:
        buffer.close()
        thread.join()


class _Buffer(Generic[T]):
    """A bounded queue between two threads that either side can end."""

    def __init__(self, size: int, pixels: Callable[[T], int]) -> None:
        self._size = max(1, size)
        self._pixels = pixels
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._filled = False
        self._closed = False

    def fill(self, items: Iterator[T]) -> None:
        """Put items until they end, fail, or the consumer closes; runs in the background thread."""
        try:
            while self._wait_for_room():
                item = next(items)
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:
            self._error = error
        with self._changed:
            self._filled = True
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room())
            return not self._closed

    def _has_room(self) -> bool:
        return len(self._items) < self._size and sum(map(self._pixels, self._items)) < HELD_PIXELS

    def drain(self) -> Iterator[T]:
        """Take items until they end; raises what ended them."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._filled)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Tell the background thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
