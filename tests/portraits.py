"""Two folders of one portrait: masks with boxes as ILC's, and people as UTKFace's."""

from __future__ import annotations

from pathlib import Path

import PIL.Image

from gatecam.types import Image

MASKS = ("with_mask", "with_incorrect_mask", "without_mask")
BOX = (0.17, 0.117, 0.82, 0.94)  # of the face, in parts of the picture


def write_portraits(root: Path, portrait: Image, count: int, side: int, suspect: int | None = None) -> None:
    """`count` pictures a folder, every label in turn; the mask of picture `suspect` is marked doubtful."""
    face = PIL.Image.fromarray(portrait[45:180, 157:292]).resize((side, side))
    box = ",".join(str(round(part * side)) for part in BOX)
    masks, people = ["image,x1,y1,x2,y2,label,suspect,group"], ["image,age,gender,race"]
    for name in ("masks", "people"):
        (root / name / "images").mkdir(parents=True)
    for i in range(count):
        for name in ("masks", "people"):
            face.save(root / name / "images" / f"{i}.png")
        masks.append(f"{i}.png,{box},{MASKS[i % 3]},{int(i == suspect)},{i}")
        people.append(f"{i}.png,{(20, 40, 70)[i % 3]},{('male', 'female')[i // 3 % 2]},other")
    (root / "masks" / "faces.csv").write_text("\n".join(masks))
    (root / "people" / "people.csv").write_text("\n".join(people))
