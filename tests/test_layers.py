"""Hold the layers of the design: imports go only down, torch stays in its rooms, files say their role."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gatecam"

# From top to bottom. Each string is one room; rooms on one level do not import each other.
LEVELS = [
    ["cli __main__"],
    ["bench", "archive"],
    ["app"],
    ["training", "web"],
    ["live", "fleet"],
    ["kiosk", "store", "notify"],
    ["pictures", "people", "vision", "capture"],
    ["ports"],
    ["settings"],
    ["geometry", "runtime"],
    ["types", "labels", "errors"],
]
ROOM_OF = {name: room for rooms in LEVELS for room in rooms for name in room.split()}
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

TORCH = {"torch", "torchvision", "facenet_pytorch"}
TORCH_ROOMS = {"vision", "training", "bench"}
MAX_FUNCTION_LINES = 60


def imported_modules(tree: ast.Module, package: list[str]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, wherever the import stands in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def import_problem(room: str | None, module: str) -> str | None:
    """Why a room (None: the package itself) may not import a module, or None where it may."""
    top, *inner = module.split(".")
    if top in TORCH and room not in TORCH_ROOMS:
        return f"{top} outside vision/ and training/"
    if top != "gatecam" or not inner or inner[0] == "__version__":
        return None
    other = ROOM_OF.get(inner[0])
    if other is None:
        return f"{module}, which has no level"
    if other == room or (room is not None and LEVEL_OF[other] > LEVEL_OF[room]):
        return None
    return f"{module}, which is not on a lower level"


def problems_of_file(path: Path, package: Path) -> Iterator[str]:
    """Every breach of the house's rules in one file, as sentences."""
    where = path.relative_to(package)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not ast.get_docstring(tree):
        yield f"{where}: does not say its role in a docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{where}:{node.lineno}: {node.name} has {lines} lines, more than {MAX_FUNCTION_LINES}"
    name = where.parts[0].removesuffix(".py")
    room = ROOM_OF.get(name)
    if room is None and name != "__init__":
        yield f"{where}: {name} has no level"
        return
    for line, module in imported_modules(tree, ["gatecam", *where.parts[:-1]]):
        problem = import_problem(room, module)
        if problem:
            yield f"{where}:{line}: imports {problem}"


def problems_of(package: Path) -> list[str]:
    return [problem for path in sorted(package.rglob("*.py")) for problem in problems_of_file(path, package)]


def test_the_package_keeps_its_layers_and_its_style():
    assert (PACKAGE / "types.py").is_file()
    assert problems_of(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("types.py", "import gatecam.settings.schema", "not on a lower level"),
        ("geometry.py", "from gatecam.settings import schema", "not on a lower level"),
        ("settings/schema.py", "from gatecam.pictures import draw", "not on a lower level"),
        ("capture/video.py", "from gatecam.vision.device import pick_device", "not on a lower level"),
        ("capture/video.py", "from ..notify import sound", "not on a lower level"),
        ("app.py", "from gatecam.cli.main import main", "not on a lower level"),
        (
            "people/pipeline.py",
            "def f():\n    import gatecam.training.runs",
            "not on a lower level",
        ),
        ("__init__.py", "from gatecam.types import Box", "not on a lower level"),
        (
            "cli/run.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
            "torch outside",
        ),
        ("people/pipeline.py", "from torchvision.ops import nms", "torchvision outside"),
        ("pictures/draw.py", "import facenet_pytorch.models", "facenet_pytorch outside"),
        ("app.py", "import gatecam.helpers", "no level"),
        ("helpers.py", "x = 1", "no level"),
        ("pictures/draw.py", "def long():\n" + "    x = 1\n" * MAX_FUNCTION_LINES, "has 61 lines"),
    ],
)
def test_an_offence_is_found(tmp_path, file, code, said):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'"""an offender."""\n{code}\n', encoding="utf-8")
    (problem,) = problems_of(tmp_path)
    assert said in problem


def test_a_file_without_a_role_is_found(tmp_path):
    (tmp_path / "ports.py").write_text("# a comment is not a docstring\n", encoding="utf-8")
    assert problems_of(tmp_path) == ["ports.py: does not say its role in a docstring"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("cli/run.py", "from gatecam import __version__\nfrom gatecam.cli.options import ConfigOption"),
        ("__main__.py", "from gatecam.cli.main import main"),
        (
            "app.py",
            "import gatecam.people.pipeline\nfrom gatecam.pictures import draw",
        ),
        ("vision/device.py", "import torch\nfrom . import mtcnn\nfrom ..types import Box"),
        ("training/learn.py", "import torch\nfrom gatecam.vision.crops import crop"),
    ],
)
def test_an_import_of_the_own_room_or_a_lower_level_is_fine(tmp_path, file, code):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'"""well-behaved."""\n{code}\n', encoding="utf-8")
    assert problems_of(tmp_path) == []
