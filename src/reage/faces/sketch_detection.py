"""Tells sketches of faces from photos, by the light in and around an aligned face."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from reage.faces.look_net import LookNet
from reage.images import geometry, regions
from reage.types import Face, Pixels, Plane

_SIDE_PX = 128
_FACE = np.s_[40:100, 36:92]
"""The face from brows to mouth, px of a crop of `_SIDE_PX`."""
_CORNER_PX, _LOW_PX = 20, 10
"""Side of the upper corners, and height of the strip at the lower border."""
_BLURS_PX = (0.0, 1.0, 2.0, 4.0, 8.0)
_LEAST = 1e-4
NUM_LOOKS = 43
"""What `measure_look` gives."""


def measure_look(crop: Pixels) -> Plane:
    """The numbers (NUM_LOOKS,) that tell a drawing from a photo.

    Detail of four sizes in the face and in the whole crop, since drawings have no noise and no pores; gradients;
    histogram of light, since paper is light; lines darker than both sides; chroma; evenness of the upper corners; the
    lower border, where drawings fade.

    Args:
        crop: (S, S, 3) aligned as `Face.crop`.
    """
    small = geometry.resize(crop, _SIDE_PX, _SIDE_PX)
    lab = regions.to_lab(small)
    light: Plane = lab[..., 0] / np.float32(100)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    look = [*_detail(light), *_tone(light), *_borders(light), chroma.mean() / 10, chroma.std() / 10]
    return np.array(look, np.float32)


def _detail(light: Plane) -> list[float]:
    """Logarithms of mean and median of each band of detail, and of gradients; dark lines narrower than 1/40 side."""
    blurred = [geometry.blur(light, sigma) if sigma else light for sigma in _BLURS_PX]
    found = []
    for fine, coarse in itertools.pairwise(blurred):
        band = np.abs(fine - coarse)
        found += [band[_FACE].mean(), np.median(band[_FACE]), band.mean()]
    steps = np.abs(np.diff(light, axis=1))[_FACE]
    closed = -geometry.grow(-geometry.grow(light, 2), 2)
    values = [*found, *np.quantile(steps, (0.25, 0.5, 0.9)), (closed - light).mean()]
    return [float(np.log(value + _LEAST)) for value in values]


def _tone(light: Plane) -> list[float]:
    """Quantiles of light in the face and in the whole crop, and shares of pixels that are light as paper, or dark."""
    face = light[_FACE]
    shares = [(face > 0.9).mean(), (face < 0.3).mean(), (light > 0.9).mean(), (light < 0.2).mean()]
    quantiles = [
        *np.quantile(face, (0.02, 0.1, 0.25, 0.5, 0.75, 0.9)),
        *np.quantile(light, (0.02, 0.1, 0.25, 0.5, 0.75)),
    ]
    return [float(value) for value in (*quantiles, *shares)]


def _borders(light: Plane) -> list[float]:
    """Light, evenness and detail of the upper corners; light of the lower border and of what is above it."""
    corners = np.stack([light[:_CORNER_PX, :_CORNER_PX], light[:_CORNER_PX, -_CORNER_PX:]])
    detail = np.abs(corners - np.stack([geometry.blur(corner, 1.0) for corner in corners]))
    own = [float(corner) for corner in np.median(corners, (1, 2))]
    low = light[-_LOW_PX:]
    strips = [low.mean(), low.min(), np.quantile(light[-2 * _LOW_PX :], 0.1), np.quantile(light[-3 * _LOW_PX :], 0.1)]
    even = [*own, corners.std(), np.log(detail.mean() + _LEAST)]
    sides = [light[:, :_LOW_PX].mean(), light[:, -_LOW_PX:].mean()]
    return [float(value) for value in (*even, *strips, *sides)]


class SketchDetector(LookNet):
    """Tells drawings, whose scores are above 0, of what `measure_look` gave."""

    weights = "sketch-detection"
    described_as = "a detector of sketches"
    num_looks = NUM_LOOKS


def is_sketch(face: Face) -> bool:
    """Whether a face is drawn."""
    return bool(_load_detector().score(measure_look(face.crop)[None])[0] > 0)


@cache
def _load_detector() -> SketchDetector:
    return SketchDetector.load()
