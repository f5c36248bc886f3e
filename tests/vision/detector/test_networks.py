"""P-, R- and O-Net: what goes in and comes out, and that they can be folded, saved and loaded."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from gatecam.errors import ModelError
from gatecam.settings.schema import DetectorConfig
from gatecam.vision.detector.build import build_detector, load_detector, save_detector
from gatecam.vision.detector.cascade import CascadeDetector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.detector.sizes import ARCHITECTURE, O_SIZE, R_SIZE, STRIDE_PX
from gatecam.vision.detector.stock import StockDetector
from gatecam.vision.device import Backend
from gatecam.vision.weights import DetectorSpec

CPU = Backend("cpu")


@pytest.fixture
def networks() -> Networks:
    """Networks whose batch norms have something to say."""
    torch.manual_seed(2)
    networks = Networks().eval()
    for name, buffer in networks.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            buffer.normal_()
    return networks


def outputs(networks: Networks) -> list[torch.Tensor]:
    torch.manual_seed(5)
    with torch.no_grad():
        return [
            *networks.pnet(torch.randn(2, 3, 64, 96)),
            *networks.rnet(torch.randn(3, 3, R_SIZE, R_SIZE)),
            *networks.onet(torch.randn(3, 3, O_SIZE, O_SIZE)),
        ]


def test_every_network_gives_what_its_work_needs(networks):
    shapes = [tuple(output.shape) for output in outputs(networks)]
    rows, columns = 64 // STRIDE_PX, 96 // STRIDE_PX
    assert shapes == [(2, rows, columns), (2, 4, rows, columns), (3,), (3, 4), (3,), (3, 4), (3, 10)]


def test_a_cell_of_p_net_sees_the_surroundings_of_its_own_place(networks):
    dark = torch.zeros(1, 3, 128, 128)
    lit = dark.clone()
    lit[:, :, 60:68, 60:68] = 5
    with torch.no_grad():
        changed = (networks.pnet(dark)[0] - networks.pnet(lit)[0]).abs()[0]
    assert (changed[7:9, 7:9] > 0).all()
    assert changed[:3].max() == changed[13:].max() == changed[:, :3].max() == changed[:, 13:].max() == 0


def test_saved_weights_have_no_batch_norms_and_say_the_same(networks, tmp_path):
    before = outputs(networks)
    saved = save_detector(tmp_path / "w.safetensors", networks, DetectorSpec("w", ARCHITECTURE))
    loaded, spec = load_detector(tmp_path / "w.safetensors")
    assert spec == saved
    assert not any(isinstance(module, nn.BatchNorm2d) for module in loaded.modules())
    for first, second in zip(before, outputs(loaded), strict=True):
        assert torch.allclose(first, second, atol=1e-4)


def test_weights_of_another_kind_are_one_sentence(networks, tmp_path):
    path = tmp_path / "w.safetensors"
    save_detector(path, networks, DetectorSpec("w", ARCHITECTURE))
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"^[^\n]*w\.json: [^\n]*\.$"):
        load_detector(path)
    with pytest.raises(ModelError, match=r"^[^\n]*no such weights[^\n]*\.$"):
        build_detector(DetectorConfig(weights=str(tmp_path / "none.safetensors")), CPU)


def test_changed_weights_are_refused(networks, tmp_path):
    path = tmp_path / "w.safetensors"
    save_detector(path, networks, DetectorSpec("w", ARCHITECTURE))
    spec = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**spec, "sha256": "0" * 64}))
    with pytest.raises(ModelError, match="its sha256 is"):
        build_detector(DetectorConfig(weights=str(path)), CPU)


def test_the_settings_choose_between_our_cascade_and_the_stock_weights(networks, tmp_path):
    path = tmp_path / "w.safetensors"
    save_detector(path, networks, DetectorSpec("w", ARCHITECTURE))
    assert isinstance(build_detector(DetectorConfig(weights=str(path)), CPU), CascadeDetector)
    assert isinstance(build_detector(DetectorConfig(weights="stock"), CPU), StockDetector)
