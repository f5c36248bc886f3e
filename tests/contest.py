"""A folder in the contest's layout, of one portrait, for tests of what reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import PIL.Image

HEAD = "id,gender,race,age,path"
SEVEN = ("mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal")
ENDINGS = (".jpg", ".jpeg", ".png", ".JPG", ".PNG")


class ContestTree:
    """A `train.csv` with `images/`; people are added one by one, and written with `save`."""

    def __init__(self, root: Path, face: PIL.Image.Image) -> None:
        self.root, self.lines = root, [HEAD]
        self._face = face
        self._images = root / "images"
        self._images.mkdir(parents=True)
        self._added = 0

    def add(self, folder: str, line: Sequence[object] | None = None, stems: Sequence[str] = SEVEN) -> Path:
        """A person's folder, and its line: what the folder's name says, unless it is given."""
        path = self._images / folder
        path.mkdir()
        for at, stem in enumerate(stems):
            self._face.save(path / f"{stem}{ENDINGS[(self._added + at) % len(ENDINGS)]}")
        self._added += 1
        id_, gender, race, age = folder.split("_")
        stated = (id_, gender, race, age, folder) if line is None else line
        self.lines.append(",".join(map(str, stated)))
        return path

    def save(self) -> Path:
        """Write the CSV; gives the folder."""
        (self.root / "train.csv").write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return self.root
