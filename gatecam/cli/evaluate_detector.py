"""Run `gatecam evaluate-detector`, which counts found faces and false detections of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.evaluate import Part
from gatecam.cli.options import Device, DeviceOption, SplitOption, SplitSeedOption, check_there
from gatecam.errors import ModelError


def _check_onnx(paths: list[Path] | None) -> list[Path] | None:
    """Return the paths of teachers after checking their names, by which teachers are told from weights."""
    check_there(paths)
    for path in paths or ():
        if path.suffix != ".onnx":
            raise ModelError(f"{path}: expected a name that ends in .onnx; give CenterFace or YuNet.")
    return paths


BoxedDataOption = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH",
        help="Folder or CSV file of pictures with a box for each face. May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]
TeacherOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher",
        metavar="FILE",
        help="ONNX file of CenterFace or YuNet to compare with. May be given several times.",
        show_default=False,
        callback=_check_onnx,
    ),
]
ClassifierOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Weights that classify the found faces: a shipped name or a .safetensors file."
    ),
]
KnownOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Real faces without a box, found by eye: CSV with image,x1,y1,x2,y2. Finding one is correct.",
        show_default=False,
        callback=check_there,
    ),
]
EmptyOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="Pictures without a face, where every detection is a false alarm. May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]
LandmarksOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH",
        help="Bare faces, one per picture, to test landmarks under drawn masks. May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]
ErrorsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write false detections as CSV. Lines that are real faces can go to --known."
    ),
]


def evaluate_detector(
    data: BoxedDataOption,
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Name of shipped weights, a .safetensors file, or stock (facenet-pytorch's)."
        ),
    ] = "gatecam-mtcnn",
    teacher: TeacherOption = None,
    classifier: ClassifierOption = "gatecam-faces",
    split: SplitOption = None,
    part: Annotated[
        Part, typer.Option(help="Part to score. Use all only if none of the pictures was trained on.")
    ] = Part.VALIDATION,
    min_face_px: Annotated[
        int, typer.Option(min=12, max=2000, help="Smallest face to find and count, in px.")
    ] = 32,
    known: KnownOption = None,
    empty: EmptyOption = None,
    landmarks: LandmarksOption = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page with plots and a picture of every error."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every number as JSON.")
    ] = None,
    errors: ErrorsOption = None,
    split_seed: SplitSeedOption = 0,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Score a face detector beside the stock weights and public detectors, by group, with intervals.

    Recall and precision are given at IoU 0.3 and 0.5. The faces that are found are classified as well,
    because users feel whether a face is found and classified correctly.
    """
    from gatecam.training.scores.run_detector import DetectorScoreRequest, evaluate_and_print

    request = DetectorScoreRequest(
        data=data,
        weights=weights,
        split=split,
        part=part.value,
        teachers=teacher or [],
        classifier=classifier,
        min_face_px=min_face_px,
        known=known,
        empty=empty or [],
        landmarks=landmarks or [],
        page=page,
        json_file=json_file,
        errors=errors,
        split_seed=split_seed,
        device=device.value,
    )
    evaluate_and_print(request)
