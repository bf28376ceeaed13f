"""The change of a face by any engine, learned on one frame and warped along the mesh to every other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from reage.engines import Engine
from reage.engines.base import FaceChange, SteadyEngine
from reage.faces.common_face import fit_common_face
from reage.images import geometry
from reage.pipeline import render
from reage.types import GAIN_FLOOR, Aged, CompletePlan, Face, Gain, Plane, Reading

_FLOOR = np.float32(255 * GAIN_FLOOR)
_LEAST_MATTE = 0.5
_MOST_RATIO = 1.5


@dataclass(frozen=True)
class WarpedChange:
    """The change of a crop by an engine without a common face: a log ratio, and a shift, both in the crop's frame.

    Args:
        log_ratio: (S, S, 3) of the levels after to those before, where the face of the reference may change.
        shift: (S, S, 2) crop px, see `reage.types.Aged`; None where nothing moves.
        mesh: (478, 3) crop px of the face it was learned on.
    """

    log_ratio: Plane
    shift: Plane | None
    mesh: Plane

    def on(self, face: Face, shares: Plane) -> Aged:
        """See `reage.engines.base.FaceChange`."""
        side = len(face.crop)
        factor = np.float32(side / len(self.log_ratio))
        mesh = face.to_crop(face.mesh)
        places = geometry.pixel_grid(side, side) + fit_common_face(mesh).carry(
            self.mesh[:, :2] * factor - mesh[:, :2], side
        )
        in_own = ((places + 0.5) / factor - 0.5).astype(np.float32)
        change: Plane = geometry.sample(self.log_ratio, in_own) * face.matte[..., None]
        shift = None
        if self.shift is not None:
            shift = geometry.sample(self.shift, in_own) * (factor * face.matte[..., None])
        return Aged(crop=face.crop, shift=shift, gains=(Gain(change),))

    def mixed(self, other: Self, share: float) -> Self:
        """See `reage.engines.base.FaceChange`; both are learned on faces that lie alike in their crops."""
        if share <= 0:
            return self
        part = np.float32(share)
        shift = self.shift
        if self.shift is not None or other.shift is not None:
            zero = np.zeros((*self.log_ratio.shape[:2], 2), np.float32)
            mine, theirs = (zero if one is None else one for one in (self.shift, other.shift))
            shift = (1 - part) * mine + part * theirs
        mesh = (1 - part) * self.mesh + part * other.mesh
        return replace(self, log_ratio=(1 - part) * self.log_ratio + part * other.log_ratio, shift=shift, mesh=mesh)


def learn_change(
    engine: Engine, face: Face, reading: Reading, plan: CompletePlan, like: FaceChange | None = None
) -> FaceChange:
    """The change of a face by a plan, for all frames.

    Args:
        engine: any.
        face: of the frame that shows the person best.
        reading: of the person.
        plan: for it.
        like: an earlier change of the person; None for none.
    """
    if isinstance(engine, SteadyEngine):
        return engine.make_change(face, reading, plan, like)
    aged = render(engine, face, reading, plan)
    side = len(face.crop)
    source = face.crop.astype(np.float32)
    if aged.shift is not None:
        places = (geometry.pixel_grid(side, side) + aged.shift).astype(np.float32)
        source = geometry.sample(face.crop, places).astype(np.float32)
    ratio = np.log((aged.crop.astype(np.float32) + _FLOOR) / (source + _FLOOR))
    known = (face.matte > _LEAST_MATTE).astype(np.float32)
    ratio = spread(np.clip(ratio, -_MOST_RATIO, _MOST_RATIO), known)
    return WarpedChange(ratio.astype(np.float32), aged.shift, face.to_crop(face.mesh))


def spread(values: Plane, known: Plane) -> Plane:
    """Values (S, S, C) that go on smoothly beyond where they are known (S, S)."""
    sigma = 0.01 * len(values)
    total, weight = values * known[..., None], known
    filled = total.copy()
    for _ in range(5):
        mean = geometry.blur(total, sigma) / np.maximum(geometry.blur(weight, sigma), 1e-4)[..., None]
        filled = np.where(weight[..., None] > 0.5, filled, mean)
        sigma *= 2
    return np.where(known[..., None] > 0, values, filled).astype(np.float32)


def scaled(aged: Aged, share: float) -> Aged:
    """A share, 0 to 1, of a change by gains."""
    if share >= 1:
        return aged
    part = np.float32(share)
    gains = tuple(replace(gain, log_ratio=gain.log_ratio * part) for gain in aged.gains)
    return replace(aged, gains=gains, shift=None if aged.shift is None else aged.shift * part)
