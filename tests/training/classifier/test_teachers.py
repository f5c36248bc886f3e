"""Teachers: what published networks see in the bare faces, computed once."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from gatecam.errors import DataError, ModelError
from gatecam.training.classifier import teachers
from gatecam.training.classifier.augment import patch_of, plain_crop
from gatecam.training.classifier.teachers import CROP, hints_of
from gatecam.vision.mobilenet import MobileNet, read_tensorflow_js
from gatecam.vision.openvino import OpenVinoNetwork
from tests.published import write_published


def nothing(done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.fixture
def faces(make_faces):
    """Two sets with bare faces in rows 1, 2 and 4 of all six. Noise makes the bare ones differ."""
    sets = [make_faces([0, 2, 2]), make_faces([1, 2, -1])]
    rng = np.random.default_rng(0)
    for some in sets:
        some.patches[:] = rng.integers(0, 255, some.patches.shape)
    return sets


def test_the_features_of_bare_faces_are_those_of_face_and_mirror_image(faces, tmp_path, monkeypatch):
    exact = partial(OpenVinoNetwork, precision="float32")  # rounding hides what random networks see
    monkeypatch.setattr(teachers, "OpenVinoNetwork", lambda *given, precision: exact(*given))
    paths = [write_published(folder(tmp_path, str(seed)), seed)[0] for seed in (0, 1)]
    hints = hints_of(paths, faces, tmp_path, nothing)
    assert hints.shape == (6, 2048)
    assert np.isfinite(hints).all(1).tolist() == [False, True, True, False, True, False]
    assert np.isnan(hints[[0, 3, 5]]).all()
    crops = torch.stack([plain_crop(patch_of(faces[s], row), CROP) for s, row in ((0, 1), (0, 2), (1, 1))])
    for number, path in enumerate(paths):
        network = MobileNet().eval()
        network.load_state_dict(read_tensorflow_js(path))
        with torch.no_grad():
            seen = (network(crops) + network(crops.flip(3))) / 2
        expected = (seen - seen.mean(0)) / (seen.std(0, unbiased=False) + 1e-6)
        found = torch.from_numpy(hints[[1, 2, 4], 1024 * number : 1024 * (number + 1)]).float()
        assert torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), 0) > 0.99


def test_the_same_faces_are_not_computed_again_and_others_are(faces, tmp_path, monkeypatch):
    computed = []

    def compute(networks, sets, progress):
        computed.append(len(networks))
        return np.full((6, 1024), len(computed), np.float16)

    monkeypatch.setattr(teachers, "_compiled", lambda tensors: None)
    monkeypatch.setattr(teachers, "_computed", compute)
    path, _ = write_published(folder(tmp_path, "a"))
    first, second = (hints_of([path], faces, tmp_path / "cache", nothing) for _ in range(2))
    assert (first[0, 0], second[0, 0]) == (1, 1)
    faces[0].boxes[1] += 1
    assert hints_of([path], faces, tmp_path / "cache", nothing)[0, 0] == 2
    other, _ = write_published(folder(tmp_path, "b"), 1)
    assert hints_of([path, other], faces, tmp_path / "cache", nothing)[0, 0] == 3
    assert computed == [1, 1, 2]


def test_a_file_of_another_kind_is_one_sentence(faces, tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(ModelError, match="not the face network"):
        hints_of([path], faces, tmp_path, nothing)


def test_faces_that_are_all_masked_teach_nothing_and_are_one_sentence(make_faces, tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "_compiled", lambda tensors: None)
    path, _ = write_published(tmp_path)
    with pytest.raises(DataError, match=r"^--teacher: no face to learn from is bare\. Add"):
        hints_of([path], [make_faces([0, 1])], tmp_path / "cache", nothing)


def folder(parent, name):
    (parent / name).mkdir()
    return parent / name
