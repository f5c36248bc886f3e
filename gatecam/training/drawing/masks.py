"""Draw masks of several makes as bent sheets, with their outline, relief, colours and ear loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatecam.training.drawing.cloth import Relief, paint, shade
from gatecam.training.drawing.head import EAR, Pose, around
from gatecam.training.drawing.mesh import Layer, draw_sheet, filled
from gatecam.training.drawing.scene import Scene
from gatecam.training.drawing.wear import HIGHEST_UNDER_CHIN, Edges, Wear, pick_edges
from gatecam.types import Floats

ROWS, COLUMNS = 9, 13  # of the net of points
# heights, and how far a mask stands off the skin there, for masks over and under the nose
_OVER_NOSE = ((-0.1, 0.2, 0.62, 1.0, 1.4, 1.74, 2.1), (0.0, 0.06, 0.3, 0.22, 0.12, 0.08, 0.05))
_UNDER_NOSE = ((0.6, 0.9, 1.2, 1.6, 2.2), (0.03, 0.07, 0.1, 0.08, 0.05))


@dataclass(frozen=True, slots=True)
class Make:
    """Describes how a kind of mask is cut. Each mask takes random values from the ranges."""

    name: str
    share: float
    relief: Relief
    reach: tuple[float, float]  # angle around the head that it reaches
    side: tuple[float, float]  # height of its sides relative to a rectangle's
    straight: tuple[float, float]  # exponent of its edges: 1 is straight to a point, 2 and more is rounded
    tent: tuple[float, float]  # how far it stands off the lips
    keel: bool  # whether the middle is a sharp edge


MAKES = (
    Make("surgical", 0.38, Relief.PLEATS, (1.02, 1.24), (0.9, 1.1), (2.0, 2.8), (0.02, 0.08), False),
    Make("kf94", 0.14, Relief.PANELS, (1.02, 1.22), (0.35, 0.55), (1.3, 1.7), (0.14, 0.24), False),
    Make("kn95", 0.12, Relief.FOLD, (0.98, 1.18), (0.5, 0.75), (1.15, 1.6), (0.12, 0.24), True),
    Make("cloth", 0.12, Relief.SEAM, (1.0, 1.2), (0.55, 0.9), (1.5, 2.4), (0.04, 0.12), False),
    Make("patterned", 0.06, Relief.SEAM, (1.0, 1.2), (0.55, 0.9), (1.5, 2.4), (0.04, 0.12), False),
    Make("black", 0.09, Relief.SEAM, (1.0, 1.25), (0.45, 0.8), (1.5, 2.2), (0.02, 0.1), False),
    Make("white", 0.09, Relief.SEAM, (1.0, 1.2), (0.5, 0.85), (1.5, 2.2), (0.02, 0.1), False),
)


def pick_makes(count: int, rng: np.random.Generator) -> list[Make]:
    """Choose different makes at random, with the shares in which they are worn."""
    shares = np.array([make.share for make in MAKES])
    return [MAKES[i] for i in rng.choice(len(MAKES), count, replace=False, p=shares / shares.sum())]


def draw_worn(make: Make, wear: Wear, scene: Scene, rng: np.random.Generator) -> list[Layer]:
    """Draw a mask and its loops. Return the layers, farthest first."""
    pose = scene.pose
    if wear is Wear.FROM_EAR:
        points = _hanging(make, scene, rng)
    else:
        points = _on_face(make, wear, _within(pick_edges(wear, rng), wear, scene), rng)
    cloth, loop = paint(make.name, make.relief, wear is not Wear.RIGHT, _texture_px(pose), rng)
    sheet = draw_sheet(points, shade(cloth, points, pose, scene.light), pose, scene.shape)
    loops = _loops(points, wear, loop, scene, rng)
    layers = [] if loops is None else [scene.under_hair(loops, 0.6, unlike=True)]
    if sheet is not None:
        layers.append(sheet if wear is Wear.FROM_EAR else scene.under_hair(sheet, 0.8))
    return layers


def _texture_px(pose: Pose) -> int:
    return int(np.clip(3 * pose.unit_px, 120, 480))


def _within(edges: Edges, wear: Wear, scene: Scene) -> Edges:
    """Return the edges of a mask under the chin, raised where the picture would end above it."""
    if wear is not Wear.UNDER_CHIN:
        return edges
    down = max(float(scene.pose.matrix[1, 1]), 1e-3)
    end = (scene.shape[0] - float(scene.pose.origin[1])) / down
    raised = float(np.clip(end - 0.36, HIGHEST_UNDER_CHIN, edges.top))
    return Edges(raised, min(edges.side_top, raised - 0.1), edges.side_low, edges.low)


def _on_face(make: Make, wear: Wear, edges: Edges, rng: np.random.Generator) -> Floats:
    """Return the net (ROWS, COLUMNS, 3) of a mask around the face."""
    u = np.linspace(-1, 1, COLUMNS, dtype=np.float32)[None]
    v = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    side = np.abs(u)
    power, reach = rng.uniform(*make.straight), rng.uniform(*make.reach)
    if wear is Wear.UNDER_CHIN:
        reach += 0.1
    center = (edges.side_top + edges.side_low) / 2
    half = (edges.side_low - edges.side_top) / 2 * rng.uniform(*make.side)
    tilt = rng.normal(0, 0.03) * u
    bridge = rng.uniform(0.03, 0.12) * np.exp(-((u / 0.16) ** 2)) if edges.top < 0.5 else 0.0
    top = edges.top + (center - half - edges.top) * side**power - bridge
    low = edges.low + (center + half - edges.low) * side ** (power + 0.5)
    y = np.asarray(top + (low - top) * v + tilt, np.float32)
    theta = np.broadcast_to(u * reach, y.shape)
    return around(theta, y, _standing_off(make, edges, theta, y, v, rng), float(rng.uniform(0.97, 1.06)))


def _standing_off(
    make: Make, edges: Edges, theta: Floats, y: Floats, v: Floats, rng: np.random.Generator
) -> Floats:
    """Return how far a mask stands off the skin: at nose and lips, and where it is stiff."""
    middle = np.interp(y, *(_OVER_NOSE if edges.top < 0.6 else _UNDER_NOSE))
    if make.keel:
        falling = np.clip(1 - np.abs(theta) / 0.85, 0, 1)
    else:
        falling = np.exp(-((theta / rng.uniform(0.42, 0.62)) ** 2))
    stiff = rng.uniform(*make.tent) * np.sin(np.pi * np.clip(v, 0.02, 0.98)) * np.cos(theta)
    return np.asarray((middle + stiff) * falling + 0.03, np.float32)


def _hanging(make: Make, scene: Scene, rng: np.random.Generator) -> Floats:
    """Return the net of a mask that hangs beside the jaw, from the nearer ear, moved into the picture."""
    pose = scene.pose
    side = -np.sign(pose.yaw) if abs(pose.yaw) > 0.15 else rng.choice([-1.0, 1.0])
    beside = pose.px(np.array([side, 1, -0.4], np.float32))[0]
    room = (beside if side * pose.matrix[0, 0] < 0 else scene.shape[1] - beside) / pose.unit_px
    inwards = float(np.clip(0.3 - room, 0, 0.35))
    along = np.linspace(0, 1, COLUMNS)[None]
    across = np.linspace(-0.5, 0.5, ROWS)[:, None]
    turned, broad = rng.uniform(0.3, 1.2), rng.uniform(0.7, 1.2)
    length, lean = rng.uniform(1.5, 2.1), rng.uniform(-0.05, 0.25)
    narrow = 1 - 0.35 * (1 - np.sin(np.pi * np.clip(along, 0.06, 0.94)))
    bend = 0.18 * np.cos(np.pi * across) + rng.uniform(-0.1, 0.1) * np.sin(2 * np.pi * along)
    x = side * (1.0 - inwards - lean * along) + across * broad * narrow * np.cos(turned) * side
    y = rng.uniform(0.7, 0.95) + along * length + 0.1 * across
    z = -0.55 + 0.5 * along + across * broad * narrow * np.sin(turned) + bend
    return np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float32)


def _loops(points: Floats, wear: Wear, color: Floats, scene: Scene, rng: np.random.Generator) -> Layer | None:
    """Draw the ear loops that the camera sees."""
    ends = {-1.0: (points[0, 0], points[-1, 0]), 1.0: (points[0, -1], points[-1, -1])}
    if wear is Wear.FROM_EAR:
        ends = {float(np.sign(points[0, 0, 0])): (points[0, 0], points[-1, 0])}
    pose = scene.pose
    half_px = max(0.4, rng.uniform(0.007, 0.015) * pose.unit_px)
    cords = []
    for side, corners in ends.items():
        if side * pose.yaw > 0.3:
            continue  # on the far side of the head
        for corner, rise in zip(corners, (-0.05, 0.25), strict=True):
            goal = np.array(EAR, np.float32) * (side, 1, 1) + (0, rise + rng.uniform(-0.1, 0.1), 0)
            cords.append(_cord(corner, goal, half_px, pose, rng))
    return filled(cords, scene.light.on(color * np.float32(0.85)), scene.shape)


def _cord(start: Floats, goal: Floats, half_px: float, pose: Pose, rng: np.random.Generator) -> Floats:
    """Return the outline, in pixels, of a cord that sags a little from a mask's corner to the ear."""
    t = np.linspace(0, 1, 6)[:, None]
    bow = np.sin(np.pi * t) * (np.sign(goal[0]) * 0.05, rng.uniform(0, 0.05), 0.06)
    line = pose.px(start + (goal - start) * t + bow)
    ahead = line[-1] - line[0]
    normal = np.array([-ahead[1], ahead[0]]) / max(float(np.linalg.norm(ahead)), 1e-3) * half_px
    return np.concatenate([line - normal, (line + normal)[::-1]])
