"""Write the graphs of facenet-pytorch's networks to standard output, as JSON, with their weights in them.

`detector/stock_compiled.py` runs this as a process of its own, so that only this one loads torch.
"""

from __future__ import annotations

import json
import sys

from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

from gatecam.runtime.children import kill_with_parent
from gatecam.vision.detector.sizes import O_SIZE, R_SIZE
from gatecam.vision.graphs import P_EXAMPLE_PX, graph_of

NETWORKS = {"pnet": (PNet, P_EXAMPLE_PX), "rnet": (RNet, R_SIZE), "onet": (ONet, O_SIZE)}


def stock_graphs() -> str:
    """Return a graph for each network by its name, as JSON."""
    return json.dumps({name: graph_of(network(), size) for name, (network, size) in NETWORKS.items()})


if __name__ == "__main__":
    kill_with_parent()
    sys.stdout.write(stock_graphs())
