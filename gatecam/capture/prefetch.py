"""Run an iterator ahead of its consumer, so that decoding overlaps analysis."""

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
    """Yield the same items in the same order, while a background thread makes up to `size` of them ahead.

    `pixels` returns how many pixels an item has. If given, items are made ahead only while the waiting ones
    have less than `HELD_PIXELS` together.

    The thread starts when the first item is requested. It ends after the last item, or when the returned
    generator is closed or dropped. Closing waits for the item that is being made. An error of `items` is
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
    """A bounded queue between two threads. Either thread can end it."""

    def __init__(self, size: int, pixels: Callable[[T], int]) -> None:
        self._size = max(1, size)
        self._pixels = pixels
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._filled = False
        self._closed = False

    def fill(self, items: Iterator[T]) -> None:
        """Fill the queue until the items end or fail, or the consumer closes it. Runs in the thread."""
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
        """Yield items until they end, then raise the error that ended them, if any."""
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
        """Make the background thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
