"""Tells sketches of faces from photos, by the light in and around an aligned face."""

from __future__ import annotations

import numpy as np

from reage.images import geometry, regions
from reage.types import Face, Pixels, Plane

_SIDE_PX = 128
FEATURES = ("chroma", "paper", "backdrop", "lines", "fine")
"""What `measure_look` gives."""


def measure_look(crop: Pixels) -> Plane:
    """The numbers (5,) that tell a drawing from a photo: `FEATURES`.

    Mean chroma; share of pixels as light as paper; how even the upper corners are; dark lines narrower than 1/40 of
    the side; energy of the finest detail.

    Args:
        crop: (S, S, 3) aligned as `Face.crop`.
    """
    small = geometry.resize(crop, _SIDE_PX, _SIDE_PX)
    lab = regions.to_lab(small)
    light: Plane = lab[..., 0] / np.float32(100)
    corner = np.concatenate([light[:20, :20].ravel(), light[:20, -20:].ravel()])
    closed = -geometry.grow(-geometry.grow(light, 2), 2)
    fine = light - geometry.blur(light, 1.0)
    return np.array(
        [
            np.hypot(lab[..., 1], lab[..., 2]).mean() / 10,
            (light > 0.9).mean(),
            np.median(corner) - 2 * corner.std(),
            10 * (closed - light).mean(),
            10 * np.abs(fine).mean(),
        ],
        np.float32,
    )


_WEIGHTS: Plane = np.array([-0.343, 12.284, 1.882, 59.98, -90.507, -1.172], np.float32)
"""Of `FEATURES`, and the offset, by logistic regression on 350 training photos, in colour, in grey and in grey on
white, and their drawings. Of 150 others none was called a sketch in colour or grey, and 30 % were in grey on white;
99 % of pencil drawings were, 97 % on cream paper, and 75 % of composites."""


def is_sketch(face: Face) -> bool:
    """Whether a face is drawn: without colour, on light and even paper, by dark lines or smooth greys."""
    return score_look(measure_look(face.crop)) > 0


def score_look(look: Plane) -> float:
    """Above 0 for a drawing, by what `measure_look` gave."""
    return float(look @ _WEIGHTS[:-1] + _WEIGHTS[-1])
