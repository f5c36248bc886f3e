"""Copy and compare the memories of pipelines: all that they keep from earlier frames.

Two pipelines with equal memories give the same results for the same frames that follow. So the parts of a
video can be joined where their memories are equal (docs/adr/0029-archives-in-parts.md).
"""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from enum import Enum

import numpy as np
from pydantic import BaseModel

from gatecam.people.life import Life
from gatecam.people.pipeline import Pipeline
from gatecam.ports import Policy, SearchPlanner, Tracker
from gatecam.runtime.telemetry import Telemetry


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Holds the parts of a pipeline that change its later results."""

    tracker: Tracker
    policy: Policy
    planner: SearchPlanner | None
    life: Life

    @classmethod
    def of(cls, pipeline: Pipeline) -> Memory:
        """Return a pipeline's memory. It changes with the pipeline."""
        return cls(pipeline.tracker, pipeline.policy, pipeline.planner, pipeline.life)

    def give_to(self, pipeline: Pipeline) -> None:
        """Let a pipeline continue with a copy of this memory."""
        given = copy.deepcopy(self)  # arrays that came from another process cannot be written
        pipeline.tracker, pipeline.policy = given.tracker, given.policy
        pipeline.planner, pipeline.life = given.planner, given.life


def fingerprint(*values: object) -> str:
    """Return a hash that is equal for equal values, in any process.

    Values of any class are compared by their fields, and numbers bit by bit. Settings and telemetry are left
    out. One object in two places differs from two equal objects, unless they cannot change.
    """
    hasher = hashlib.blake2b(digest_size=16)
    known: dict[int, int] = {}  # number of each object that can change, by its id

    def add(value: object) -> None:
        if isinstance(value, BaseModel | Telemetry):
            return
        if value is None or isinstance(value, bool | int | float | str | bytes | Enum):
            hasher.update(f"{type(value).__name__} {value!r};".encode())
        elif isinstance(value, np.ndarray | np.generic):
            array = np.ascontiguousarray(value)
            hasher.update(f"{array.dtype} {array.shape};".encode())
            hasher.update(array.data)
        elif can_change(value) and id(value) in known:
            hasher.update(f"again {known[id(value)]};".encode())
        else:
            if can_change(value):
                known[id(value)] = len(known)
            _add_inner(value, add, hasher.update)

    for value in values:
        add(value)
    return hasher.hexdigest()


def can_change(value: object) -> bool:
    """Check whether a container or object can change after it was made."""
    if isinstance(value, tuple | frozenset):
        return False
    params = getattr(value, "__dataclass_params__", None)
    return not (is_dataclass(value) and params is not None and params.frozen)


def _add_inner(value: object, add: Callable[[object], None], write: Callable[[bytes], None]) -> None:
    """Add what is inside a container or an object."""
    write(f"{type(value).__name__};".encode())
    if isinstance(value, dict):
        inner: list[object] = [one for pair in value.items() for one in pair]
    elif isinstance(value, set | frozenset):
        inner = sorted(value)
    elif isinstance(value, list | tuple | deque):
        inner = list(value)
    else:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        names = [*slots, *getattr(value, "__dict__", {})]
        inner = [one for name in names for one in (name, getattr(value, name))]
    write(f"{len(inner)};".encode())
    for one in inner:
        add(one)
