"""Runs an iterator ahead of its consumer, so that decoding overlaps analysis."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T], size: int) -> Generator[T, None, None]:
    """The same items in the same order, up to `size` of them made ahead by one background thread.

    The thread starts with the first item asked for. It ends with the items, or when the returned
    generator is closed or dropped; closing waits for the item in the making. What `items` raises is
    raised here, after the items before it.
    """
    buffer = _Buffer[T](size)
    thread = threading.Thread(target=buffer.fill, args=(items,), name="prefetch", daemon=True)
    thread.start()
    try:
        yield from buffer.drain()
    finally:
        buffer.close()
        thread.join()


class _Buffer(Generic[T]):
    """A bounded queue between two threads that either side can end."""

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
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
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            return not self._closed

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
