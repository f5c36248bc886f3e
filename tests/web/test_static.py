"""The files of the pages: their addresses hold below any path at which a proxy serves them."""

from __future__ import annotations

import re

import pytest

from gatecam.web.static import FOLDER

ABSOLUTE = re.compile(r"""(?:href|src|action)="/|src: url\(/|fetch\(["'`]/|href = ["'`]/|["'`]/static/""")


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_address_begins_at_the_root_of_the_host(path):
    assert ABSOLUTE.findall(path.read_text(encoding="utf-8")) == []
