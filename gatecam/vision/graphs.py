"""Make the graphs that let OpenVINO compute networks without torch, and store them in weights files.

A graph describes a network's layers. Its weights are inputs, which `vision/openvino.py` replaces by the
tensors of the weights file. So a graph depends on the architecture alone. New weights of the same
architecture get the same graph. It is stored in the metadata of the weights file, so the file's hash covers
it.

`python -m gatecam.vision.graphs FILE...` stores the graphs in weights files that lack them.
"""

from __future__ import annotations

import logging
import sys
import warnings
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from gatecam.errors import DeviceError, ModelError
from gatecam.vision.detector.networks import Networks, folded
from gatecam.vision.detector.sizes import O_SIZE, R_SIZE
from gatecam.vision.network import ByHead, build_from_spec
from gatecam.vision.openvino import PIXELS, cannot_run, import_openvino, pack_graph
from gatecam.vision.weights import (
    DetectorSpec,
    ModelSpec,
    load_detector_weights,
    load_stored,
    load_weights,
    save_weights,
)

log = logging.getLogger(__name__)

P_EXAMPLE_PX = 64  # side of P-Net's example. Its graph takes any size.


def graphs_to_store(spec: ModelSpec | DetectorSpec) -> dict[str, str]:
    """Return the graphs by network. Return none if OpenVINO is missing or cannot compute a network.

    Weights without graphs work too, but loading them with OpenVINO imports torch.
    """
    try:
        return graphs_of(spec)
    except DeviceError as error:
        log.warning("The weights get no graphs for OpenVINO, so it needs torch to load them: %s", error)
        return {}


def graphs_of(spec: ModelSpec | DetectorSpec) -> dict[str, str]:
    """Return the graphs of the networks that a spec describes: "classifier", or "pnet", "rnet" and "onet".

    Raises:
        DeviceError: OpenVINO is not installed, or cannot compute the network.
        ModelError: there is no such network.
    """
    try:
        if isinstance(spec, ModelSpec):
            return {"classifier": _classifier_graph(spec.architecture, spec.crop.size)}
        return dict(_detector_graphs())
    except ModelError:
        raise
    except Exception as error:  # a broken build, or a layer that OpenVINO lacks, raises any kind of error
        raise cannot_run(error) from error


@lru_cache(maxsize=4)
def _classifier_graph(architecture: str, size: int) -> str:
    return graph_of(ByHead(build_from_spec(architecture)), size, "")


@lru_cache(maxsize=1)
def _detector_graphs() -> tuple[tuple[str, str], ...]:
    networks = folded(Networks())
    sides = {"pnet": P_EXAMPLE_PX, "rnet": R_SIZE, "onet": O_SIZE}
    return tuple((name, graph_of(getattr(networks, name), side, f"{name}.")) for name, side in sides.items())


def graph_of(network: nn.Module, size: int, prefix: str | None = None) -> str:
    """Trace a network for pixels (n, 3, size, size), and return its graph.

    Args:
        network: the module. It cannot be used afterwards.
        size: height and width of the example in px. The graph itself takes any size.
        prefix: what stands before the names of the network's tensors in the weights file. The tensors become
            inputs of the graph with these names. None keeps them in the graph.
    """
    named = {} if prefix is None else network.state_dict()
    tensors = {name: tensor for name, tensor in named.items() if tensor.is_floating_point()}
    network.eval().requires_grad_(False)

    def compute(pixels: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        for name, weight in zip(tensors, weights, strict=True):
            owner, _, own_name = name.rpartition(".")
            network.get_submodule(owner).__dict__[own_name] = weight  # hides the parameter of that name
        outputs: tuple[Tensor, ...] = network(pixels)
        return outputs

    openvino = import_openvino()
    from openvino.tools.ovc import convert_model

    example = (torch.zeros(2, 3, size, size), *tensors.values())
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch warns that tracing is deprecated
        # The check traces a second time, which takes as long as everything else.
        traced = torch.jit.trace(compute, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = convert_model(traced)
    names = [PIXELS, *(f"{prefix}{name.removeprefix(ByHead.PREFIX)}" for name in tensors)]
    shapes = [openvino.PartialShape([-1, 3, -1, -1]), *(openvino.PartialShape(t.shape) for t in example[1:])]
    for given, name, shape in zip(model.inputs, names, shapes, strict=True):
        given.get_node().set_friendly_name(name)
        given.get_node().set_partial_shape(shape)
    model.validate_nodes_and_infer_types()
    return pack_graph(model)


def main(paths: list[str]) -> None:
    """Store the graphs in weights files, and write the new hashes into their specs. Graphs for int8 stay."""
    for path in map(Path, paths):
        stored = load_stored(path)
        if stored.is_detector:
            tensors, detector = load_detector_weights(path)
            save_weights(path, tensors, detector, {**stored.graphs, **graphs_of(detector)})
        else:
            tensors, classifier = load_weights(path)
            save_weights(path, tensors, classifier, {**stored.graphs, **graphs_of(classifier)})
        print(f"{path}: has its graphs")


if __name__ == "__main__":
    main(sys.argv[1:])
