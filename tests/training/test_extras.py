"""A library of the extra [train] that is missing is named before the work starts."""

from __future__ import annotations

import sys

import pytest

from gatecam.errors import MissingExtraError
from gatecam.training.extras import require


def test_a_missing_library_says_what_to_install(monkeypatch):
    require("numpy", "A page of scores")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"^A page of scores needs the extra \[train\]"):
        require("matplotlib", "A page of scores")
