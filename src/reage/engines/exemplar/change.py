"""The change that the engine makes of a face: learned on one picture of it, applied to that or to any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from reage.composite import apply_to_crop
from reage.engines.exemplar.hair import HairLight, hair_change, measure_hair
from reage.engines.exemplar.hair_mask import WIDE, find_hair, middle_of
from reage.engines.exemplar.own_photos import OwnChange
from reage.engines.exemplar.view import crop_px
from reage.face_classes import CLASSES
from reage.faces.common_face import fit_common_face
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.skin_detail import LUMINANCE, log_luminance
from reage.faces.window import cut_window, mesh_in_window
from reage.images import geometry, regions
from reage.types import Aged, Face, Gain, Pixels, Plane

_MARGIN_UNITS, _MOST_SHARE = 0.01, 0.6
"""Margin, face units, around what stays where it is, and share of the distance from it by which skin may move."""
_WIDE_PX = (512, 1400)
"""Least and most side of the window of `WIDE` crops in which hair is changed."""

_FRAME_PX, _FRAME_MASK_PX = 800, 320
"""Most px of that window in a frame of a video, and of it for the border of hair."""
_LIFT_ROOM = -0.1
"""Log luminance of grey brows in a frame relative to its skin, at most."""


@dataclass(frozen=True, kw_only=True)
class HairAim:
    """How hair is to change.

    Args:
        old_years: age of the person.
        new_years: target age.
        silver: luminance of grey hair in the light of the picture.
        factor: on the change.
        own: what the person's own photos say; None without any.
        own_factor: on what they say.
        light: of the hair as it was, so that it is the same in every frame; None to measure it in each picture.
    """

    old_years: float
    new_years: float
    silver: float
    factor: float
    own: OwnChange | None = None
    own_factor: float = 0.0
    light: HairLight | None = None

    @property
    def most_px(self) -> int:
        """Most px of the side of the window in which hair is changed."""
        return _WIDE_PX[1] if self.light is None else _FRAME_PX

    def make_gain(self, face: Face, wide: Pixels, shares: Plane) -> list[Gain]:
        """The change of hair, also beyond the crop; nothing where there is none.

        Args:
            face: in the picture.
            wide: (W, W, 3) window of `WIDE` crop sides.
            shares: (10, P, P) shares of `CLASSES` in it.
        """
        hair = self._find(face, wide, shares)
        rows, columns = np.flatnonzero(hair.max(1) > 0), np.flatnonzero(hair.max(0) > 0)
        if not len(rows):
            return []
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        unit = len(wide) / (WIDE * FACE_PER_CROP)
        intensity = wide[part].astype(np.float32) / np.float32(255)
        there = np.ascontiguousarray(hair[part])
        change = hair_change(intensity, there, unit, self.old_years, self.new_years, self.silver, self.light)
        if self.own is not None and (there > 0.6).any():
            usual = float(np.median((change @ LUMINANCE)[there > 0.6]))
            change = change + self.own_factor * np.float32(self.own.hair_change(usual)) * there[..., None]
        if not change.any():
            return []
        whole = np.zeros((*hair.shape, 3), np.float32)
        whole[part] = change * np.float32(self.factor)
        return [Gain(whole, WIDE)]

    def _find(self, face: Face, wide: Pixels, shares: Plane) -> Plane:
        """(W, W) share of hair."""
        side = len(wide)
        if self.light is None or side <= _FRAME_MASK_PX:
            return find_hair(face, wide, shares)
        small = find_hair(face, geometry.resize(wide, _FRAME_MASK_PX, _FRAME_MASK_PX), shares)
        return np.clip(geometry.resize(small, side, side), 0, 1)


@dataclass(frozen=True, kw_only=True)
class ExemplarChange:
    """A change of a face.

    Args:
        skin: (N, N, 3) change of log colour of skin in the common face.
        features: (N, N, 3) that of brows and stubble; None for none.
        moves: (478, 2) of the mesh points, sides of the common face; None where nothing moves.
        hair: how hair changes.
        strength: share of the change of skin and features that is applied.
        colour: how much colour the picture has, see `reage.faces.segmentation.colourfulness`.
        donors: row and whether it is mirrored, of the donor of each of `reage.engines.exemplar.donors.REGIONS`.
        details: see `reage.types.Aged`.
    """

    skin: Plane
    features: Plane | None
    moves: Plane | None
    hair: HairAim
    strength: float
    colour: float
    donors: tuple[tuple[int, bool], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def on(self, face: Face, shares: Plane, *, preview: bool = False) -> Aged:
        """The face of any picture of the same person, changed.

        Args:
            face: in the picture.
            shares: (10, P, P) shares of `CLASSES` in a window of `WIDE` crop sides, see `wide_window`.
            preview: whether to draw `Aged.crop`, which is the crop as it was otherwise.
        """
        side, bare = crop_px(face), np.minimum(face.bare, 1 - face.hair)
        wide, _ = wide_window(face, self.hair.most_px)
        common = fit_common_face(mesh_in_window(face, side))
        places = (common.unroll(side) * len(self.skin) - 0.5).astype(np.float32)
        on_skin: Plane = np.clip(geometry.resize(np.minimum(face.matte, bare), side, side), 0, 1)
        change: Plane = geometry.sample(self.skin, places) * on_skin[..., None]
        if self.features is not None:
            features = np.asarray(geometry.sample(self.features, places), np.float32)
            if self.hair.light is not None:
                features = _bound_lift(features, log_luminance(_middle(wide, side)), on_skin)
            seen: Plane = geometry.resize(np.minimum(face.skin, 1 - face.hair), side, side)
            seen = np.clip(seen * (1 - middle_of(shares[CLASSES.index("glasses")], side)), 0, 1)
            change += features * seen[..., None]
        change = change * np.float32(self.strength)
        gains = [Gain(change), *self.hair.make_gain(face, wide, shares)]
        gains = [replace(gain, log_ratio=without_hue(gain.log_ratio, self.colour)) for gain in gains]
        shift = None
        if self.moves is not None:
            shift = _hold_still(common.move(self.moves, side, len(face.matte)), face.matte)
            gains = [_move(gain, shift) for gain in gains]
        crop = _preview(face, gains, shift) if preview else face.crop
        return Aged(crop=crop, shift=shift, gains=tuple(gains), details=self.details)

    def steadied(self, face: Face, shares: Plane) -> Self:
        """The change with the light of the hair measured once, on the picture it was learned from, for video."""
        wide, _ = wide_window(face, _FRAME_PX)
        light = measure_hair(wide.astype(np.float32) / np.float32(255), self.hair._find(face, wide, shares))
        return replace(self, hair=replace(self.hair, light=light))

    def mixed(self, other: Self, share: float) -> Self:
        """This change and a share of another of the same person, in between; both have one size of `skin`."""
        if share <= 0:
            return self
        rest, part = np.float32(1 - share), np.float32(share)

        def mix(a: Plane | None, b: Plane | None) -> Plane | None:
            if a is None or b is None:
                return None if a is b else (rest * a if a is not None else part * b)  # type: ignore[operator]
            return rest * a + part * b

        side = len(self.skin)
        features = None if other.features is None else geometry.resize(other.features, side, side)
        skin = mix(self.skin, geometry.resize(other.skin, side, side))
        assert skin is not None
        new_years = (1 - share) * self.hair.new_years + share * other.hair.new_years
        silver = (1 - share) * self.hair.silver + share * other.hair.silver
        return replace(
            self,
            skin=skin,
            features=mix(self.features, features),
            moves=mix(self.moves, other.moves),
            hair=replace(self.hair, new_years=new_years, silver=silver),
        )


def wide_window(face: Face, most_px: int = _WIDE_PX[1]) -> tuple[Pixels, Plane]:
    """The window (W, W, 3) of `WIDE` crop sides in which hair is found, and the mesh (478, 3) px of it."""
    wide_px = int(np.clip(WIDE * crop_px(face), _WIDE_PX[0], most_px))
    return cut_window(face, wide_px, WIDE), mesh_in_window(face, wide_px, WIDE)


def without_hue(change: Plane, colour: float) -> Plane:
    """A change of log colour (H, W, 3) whose hue is reduced as far as the photo has none."""
    if colour == 1:
        return change
    light = (change @ LUMINANCE)[..., None]
    return (light + colour * (change - light)).astype(np.float32)


def _middle(wide: Pixels, side_px: int) -> Pixels:
    """The crop (S, S, 3) in a window of `WIDE` crop sides."""
    half = round(len(wide) / WIDE)
    first = (len(wide) - half) // 2
    return geometry.resize(np.ascontiguousarray(wide[first : first + half, first : first + half]), side_px, side_px)


def _bound_lift(features: Plane, light: Plane, on_skin: Plane) -> Plane:
    """The change of brows and stubble (S, S, 3) that makes nothing as light as skin in a frame of log luminance (S, S).

    A brow of a frame lies not quite where it lay in the picture that the change was learned on.
    """
    bare = light[::4, ::4][on_skin[::4, ::4] > 0.9]
    if not len(bare):
        return features
    room = np.maximum(np.float32(np.median(bare) + _LIFT_ROOM) - light, 0)
    excess = np.maximum(features @ LUMINANCE - room, 0)
    return features - excess[..., None]


def _hold_still(shift: Plane, matte: Plane) -> Plane:
    """A shift (S, S, 2) by at most a share of the distance from where the matte (S, S) is 0, so that nothing folds."""
    distance = regions.distance_px(matte > 0.5) - _MARGIN_UNITS * len(matte) / FACE_PER_CROP
    most = np.maximum(_MOST_SHARE * distance, 1e-3)
    length = np.maximum(np.linalg.norm(shift, axis=-1), 1e-6)
    held: Plane = (shift * (most * np.tanh(length / most) / length)[..., None]).astype(np.float32)
    return held


def _move(gain: Gain, shift: Plane) -> Gain:
    """The gain where a shift (S, S, 2) of the crop takes it."""
    side, inside = len(gain.log_ratio), round(len(gain.log_ratio) / gain.crops)
    first = (side - inside) // 2
    middle = np.s_[first : first + inside, first : first + inside]
    places = geometry.pixel_grid(inside, inside) + np.float32(first)
    places += geometry.resize(shift, inside, inside) * np.float32(inside / len(shift))
    moved = gain.log_ratio.copy()
    moved[middle] = geometry.sample(gain.log_ratio, places)
    return replace(gain, log_ratio=moved)


def _preview(face: Face, gains: list[Gain], shift: Plane | None) -> Pixels:
    """The aged crop."""
    return apply_to_crop(face.crop if shift is None else geometry.shift_pixels(face.crop, shift), gains)
