"""Draw masks, and things that are no mask, on bare faces.

A `scene` holds a face's pose, which comes from its landmarks (`head`), and its light, which comes from its
pixels (`light`). Masks are bent sheets (`wear`, `cloth`, `masks`, drawn by `mesh`). Other things are sheets
or round bodies (`occluders`, `solids`). Each becomes a layer, and `finish` lays the layers over the picture.
"""

from gatecam.training.drawing.dress import Dressed, draw_mask, draw_thing, dress
from gatecam.training.drawing.masks import MAKES, Make, pick_makes
from gatecam.training.drawing.occluders import OCCLUDERS
from gatecam.training.drawing.wear import Wear

__all__ = ["MAKES", "OCCLUDERS", "Dressed", "Make", "Wear", "draw_mask", "draw_thing", "dress", "pick_makes"]
