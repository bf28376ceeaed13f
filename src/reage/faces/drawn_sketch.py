"""Draws portraits from photos by rules: pencil portraits and composites, which sketch nets learn from.

No artist drew them. Pencil: tone by dodge, strokes along the structure tensor (Kang et al., 2007, for lines; Cabral and
Leedom, 1993, for strokes), contours by XDoG (Winnemoeller et al., 2012), paper. Composite: the parts of the face smooth
and grey, joined softly, as by the police programs that put a face together from parts.

Convention:
    a crop is aligned as `Face.crop`, RGB uint8 (S, S, 3); meshes (478, 3) crop px; drawings grey uint8 (S, S), 255 is
    paper; light float32 (S, S) in [0, 1]; lengths in face units, see `reage.faces.geometry`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.errors import ReageError
from reage.face_classes import CLASSES
from reage.faces.geometry import FACE_PER_CROP, smoothstep, smoothstep_of
from reage.faces.segmentation import FaceParser
from reage.images import geometry, regions, shapes, strokes
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, LIP_OUTLINE
from reage.types import Pixels, Plane

STYLES = ("pencil", "composite")
"""How a portrait may be drawn."""

Drawing = NDArray[np.uint8]

_HATCH_DEGREES = 40.0
"""Direction of strokes where the face itself has none: that of a right hand."""
_NOSE = (168, 193, 245, 188, 174, 217, 129, 64, 98, 97, 2, 326, 327, 294, 358, 437, 399, 412, 465, 417)
_SKIN_CLASSES = ("skin", "facial_hair", "eyes", "mouth", "glasses")
_LAST_ROWS = 0.14
"""Share of the drawing above its lower edge over which neck and clothes fade into the paper."""


@dataclass(frozen=True, kw_only=True)
class Drafting:
    """How a drawing is made.

    Args:
        style: one of `STYLES`.
        proportion_error: standard deviation of the errors in the places and sizes of parts, face units: 0 for none,
            0.02 for a viewed sketch, drawn with the person or photo in sight, 0.05 for a forensic one, drawn from
            words.
        exaggeration: by which shading is stronger (above 1) or weaker than the renderer's own; forensic artists shade
            more.
        strokes: depth of the strokes, 0 for none.
        seed: of strokes, paper and errors.
    """

    style: str = "pencil"
    proportion_error: float = 0.0
    exaggeration: float = 1.0
    strokes: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_style(self.style)


def check_style(style: str) -> str:
    """The style itself.

    Raises:
        ReageError: when there is no such style.
    """
    if style not in STYLES:
        raise ReageError(f"There is no style '{style}'; use {' or '.join(STYLES)}.")
    return style


@dataclass(frozen=True)
class PortraitParts:
    """What the renderer knows of a crop.

    Args:
        light: (S, S).
        skin: (S, S) share of skin, with all features.
        hair: (S, S) share of hair, beard and brows, and of hats.
        person: (S, S) share of the person, clothes included.
    """

    light: Plane
    skin: Plane
    hair: Plane
    person: Plane


def draw_portrait(crop: Pixels, mesh: Plane, parser: FaceParser, drafting: Drafting = Drafting()) -> Drawing:
    """The portrait (S, S) of an aligned crop (S, S, 3) with its mesh (478, 3)."""
    parts = _see(crop, mesh, parser)
    generator = np.random.default_rng(drafting.seed)
    draw = _draw_pencil if drafting.style == "pencil" else _draw_composite
    light = draw(parts, mesh, drafting, generator)
    if drafting.proportion_error:
        light = misplace(light, mesh, drafting.proportion_error, generator)
    return regions.to_pixels(255 * light)


def find_person(crop: Pixels, mesh: Plane, parser: FaceParser) -> Plane:
    """(S, S) share of the person, clothes included, in an aligned crop (S, S, 3) with its mesh (478, 3)."""
    return _see(crop, mesh, parser).person


def misplace(light: Plane, mesh: Plane, error: float, generator: np.random.Generator) -> Plane:
    """A drawing whose parts are out of proportion by a smooth random shift of that deviation, face units."""
    side = len(light)
    unit = side / FACE_PER_CROP
    noise = generator.standard_normal((side, side, 2)).astype(np.float32)
    shift = geometry.blur(geometry.resize(geometry.resize(noise, 7, 7), side, side), 0.3 * unit)
    inside = geometry.blur(geometry.grow(_fill(mesh, FACE_OUTLINE, side), 0.3 * unit), 0.3 * unit)
    shift *= error * unit / max(float(shift.std()), 1e-6) * inside[..., None]
    return geometry.sample(light, geometry.pixel_grid(side, side) + shift)


# What the renderer sees


def _see(crop: Pixels, mesh: Plane, parser: FaceParser) -> PortraitParts:
    side = len(crop)
    shares = dict(zip(CLASSES, parser.measure_shares(crop, mesh), strict=True))
    light: Plane = regions.to_light(crop) / np.float32(255)
    background = _fit(shares["background"] + shares["other"], light)
    skin = _fit(np.sum([shares[name] for name in _SKIN_CLASSES], axis=0), light)
    hair = _fit(shares["hair"] + shares["facial_hair"] + shares["hat"], light)
    face = geometry.blur(_fill(mesh, FACE_OUTLINE, side), 1.0)
    person = smoothstep(np.maximum(1 - background, face), 0.25, 0.75)
    return PortraitParts(light, np.maximum(skin, face * (1 - hair)), hair, person)


def _fit(share: Plane, light: NDArray[np.floating]) -> Plane:
    side = len(light)
    return regions.follow_edges(geometry.resize(share, side, side), light, max(2, side // 64), 1e-3).astype(np.float32)


def _fill(mesh: Plane, outline: tuple[int, ...], side: int) -> Plane:
    filled: Plane = shapes.fill_polygon(mesh[list(outline), :2], side, side).astype(np.float32) / np.float32(255)
    return filled


def _even_light(parts: PortraitParts, share: float) -> Plane:
    """The light with that share of its slow change over the skin taken out: artists draw a face in even light."""
    sigma = 0.45 * len(parts.light) / FACE_PER_CROP
    weight = np.maximum(parts.skin, 0.02)
    slow = geometry.blur(parts.light * weight, sigma) / geometry.blur(weight, sigma)
    middle = float((slow * parts.skin).sum() / max(float(parts.skin.sum()), 1e-6))
    ratio = np.clip(middle / np.maximum(slow, 0.04), 0.4, 2.5) ** share
    return (parts.light * ratio).clip(0, 1).astype(np.float32)


def _skin_tone(parts: PortraitParts, even: Plane) -> tuple[float, float]:
    """The light of bright skin, and the tone that it gets on paper: dark skin is shaded, less than it is."""
    inside = parts.skin > 0.7
    if not inside.any():
        return 0.7, 0.9
    bright = float(np.quantile(even[inside], 0.8))
    return max(bright, 0.08), 0.93 - 0.27 * (1 - smoothstep_of(bright, 0.15, 0.62))


# Pencil


def _draw_pencil(parts: PortraitParts, mesh: Plane, drafting: Drafting, generator: np.random.Generator) -> Plane:
    side = len(parts.light)
    unit = side / FACE_PER_CROP
    even = _even_light(parts, 0.65)
    bright, tone = _skin_tone(parts, even)
    shading = (even / bright).clip(0, 1.15) * tone
    dodged = strokes.dodge(even + 0.02, 0.16 * unit)
    skin = shading.clip(0, 1) ** 0.7 * dodged**0.75
    dark_hair = 0.22 + 0.62 * (even / max(bright, 0.45)).clip(0, 1) ** 0.8
    hair = dark_hair * dodged**0.8
    light = skin + parts.hair * (hair - skin)
    light = (1 - (1 - light) * drafting.exaggeration).astype(np.float32)
    light = _add_strokes(light, even, parts, drafting.strokes, generator)
    light = light * _contours(parts, even, mesh)
    return _put_on_paper((light.clip(0, 1) * 0.9 + 0.1).astype(np.float32), parts, generator)


def _add_strokes(
    light: Plane, even: Plane, parts: PortraitParts, depth: float, generator: np.random.Generator
) -> Plane:
    side = len(light)
    directions, coherence = strokes.find_directions(geometry.blur(even, 1.0), 0.05 * side / FACE_PER_CROP)
    angle = np.deg2rad(_HATCH_DEGREES)
    hatch = np.broadcast_to(np.array([np.cos(angle), -np.sin(angle)], np.float32), directions.shape)
    follows = np.maximum(parts.hair, smoothstep(coherence, 0.55, 0.9))[..., None] > 0.5
    mixed = np.where(follows, directions, hatch).astype(np.float32)
    noise = generator.standard_normal((side, side)).astype(np.float32)
    drawn = strokes.draw_strokes(noise, mixed, max(4, side // 18))
    darkness = 1 - light
    own = (0.045 + 0.075 * parts.hair) * 4 * darkness * (1 - darkness)
    return (light + depth * own * drawn).astype(np.float32)


def _contours(parts: PortraitParts, even: Plane, mesh: Plane) -> Plane:
    """Lines (S, S): contours of the photo, and those of lids, lips and jaw that every artist draws."""
    side = len(even)
    unit = side / FACE_PER_CROP
    flat = even / np.maximum(geometry.blur(even, 0.35 * unit), 0.05)
    lines = strokes.draw_contours(
        (0.75 * flat).astype(np.float32), 0.014 * unit, sharpness=8.0, threshold=0.6, slope=1.8
    )
    lines = 1 - (0.6 - 0.3 * parts.hair) * (1 - lines)
    border = geometry.blur(parts.person, 0.008 * unit)
    gradient = np.hypot(*np.gradient(border)) * 0.02 * unit * 2.2
    outline = 1 - 0.45 * gradient.clip(0, 1)
    drawn = np.zeros((side, side), np.float32)
    for points, strength in _feature_lines(mesh):
        line = shapes.draw_line(points, side, 0.014 * unit).astype(np.float32) / 255
        drawn = np.maximum(drawn, strength * line).astype(np.float32)
    return (lines * outline * (1 - geometry.blur(drawn, 0.008 * unit))).astype(np.float32)


def _feature_lines(mesh: Plane) -> list[tuple[Plane, float]]:
    """Points of each line, and how dark it is."""
    upper = [mesh[list(outline[:9]), :2] for outline in EYE_OUTLINES]
    mouth = mesh[[78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308], :2]
    jaw = mesh[list(FACE_OUTLINE[9:28]), :2]
    return [*((lid, 0.5) for lid in upper), (mouth, 0.4), (jaw, 0.22)]


def _put_on_paper(light: Plane, parts: PortraitParts, generator: np.random.Generator) -> Plane:
    side = len(light)
    rows = ((np.arange(side, dtype=np.float32) + 0.5) / side).astype(np.float32)
    clothes = 1 - np.maximum(parts.skin, parts.hair).clip(0, 1)
    hinted = light + 0.45 * clothes * (1 - light)  # clothes are only hinted at
    fading = parts.person * (1 - smoothstep(rows, 1 - _LAST_ROWS, 1.0)[:, None])
    drawn = 1 - fading * (1 - hinted)
    paper = 0.975 + 0.006 * strokes.make_paper(side, side, generator)
    return (drawn * paper).clip(0, 1).astype(np.float32)


# Composite


def _draw_composite(parts: PortraitParts, mesh: Plane, drafting: Drafting, generator: np.random.Generator) -> Plane:
    """Each part smooth, with its own levels, on a smooth face; eyes, brows, nose and mouth keep the most detail."""
    del generator
    side = len(parts.light)
    unit = side / FACE_PER_CROP
    even = _even_light(parts, 0.85)
    bright, tone = _skin_tone(parts, even)
    base = strokes.smooth_keeping_edges((even / bright).clip(0, 1.2), max(2, round(0.16 * unit)), 0.14)
    light = 0.86 * tone * base.clip(0, 1.1)
    smooth_hair = strokes.smooth_keeping_edges(even, max(2, round(0.07 * unit)), 0.10)
    hair = 0.12 + 0.7 * (smooth_hair / max(bright, 0.45)).clip(0, 1) ** 0.9
    light = light + parts.hair * (hair - light)
    fine = strokes.smooth_keeping_edges((even / bright).clip(0, 1.2), max(1, round(0.03 * unit)), 0.05)
    for mask, strength in _composite_parts(mesh, side):
        part = 0.84 * tone * (1 - drafting.exaggeration * 1.12 * (1 - fine))
        light = light + strength * mask * (part - light)
    backdrop = 0.93
    return (backdrop + parts.person * (light - backdrop)).clip(0.03, 1).astype(np.float32)


def _composite_parts(mesh: Plane, side: int) -> list[tuple[Plane, float]]:
    unit = side / FACE_PER_CROP
    outlines = [*EYE_OUTLINES, *BROW_OUTLINES, _NOSE, LIP_OUTLINE]
    margins = [0.11, 0.11, 0.06, 0.06, 0.03, 0.09]
    return [
        (geometry.blur(geometry.grow(_fill(mesh, outline, side), margin * unit), 0.045 * unit), 0.95)
        for outline, margin in zip(outlines, margins, strict=True)
    ]
