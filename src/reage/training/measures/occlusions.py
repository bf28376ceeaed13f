"""Things put in front of and behind labelled faces, so that a face parser learns hats, glasses, masks and neighbours.

Convention:
    a `Scene` is a wide crop with its labels; see `reage.training.measures.segmentation_labels`. All randomness comes
    from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from reage.face_classes import CLASSES
from reage.faces.geometry import FACE_PER_CROP
from reage.images import geometry, regions, shapes
from reage.mesh_points import FACE_OUTLINE
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.segmentation_labels import WIDE, Labels
from reage.types import Matrix, Pixels, Plane

SURGICAL_MASK = (
    *(197, 118, 117, 123, 147, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 376, 352, 346, 347),
)
"""Outline of a mask over nose and mouth, by numbers of mesh points."""
_EYE_CORNERS = ((33, 133), (362, 263))
_EARS = (127, 356)
_CHIN_POINT = 17
_MASK_COLOURS = ((150, 195, 215), (235, 238, 240), (30, 30, 32))
_FRAME_COLOURS = ((25, 22, 20), (90, 60, 35), (190, 170, 110))
_CLOTH_COLOURS = (
    (14, 14, 17),
    (24, 24, 34),
    (40, 36, 34),
    (70, 66, 62),
    (225, 222, 216),
    (150, 140, 128),
    (90, 30, 40),
)
_TOP_AND_CHIN = (10, 152)
_COVERS_HAIR_SHARE, _WEAVE_SHARE = 0.6, 0.3
_MICROPHONE_SHARE, _DARK_LENS_SHARE = 0.4, 0.35


@dataclass(frozen=True)
class Scene:
    """A wide crop with its labels.

    Args:
        pixels: (S, S, 3) RGB uint8.
        labels: (S, S) int8, see `label_wide_crop`.
        person: (S, S) share of the person, uint8, 255 for all.
        mesh: (478, 2) px.
    """

    pixels: Pixels
    labels: Labels
    person: NDArray[np.uint8]
    mesh: Plane

    @property
    def unit_px(self) -> float:
        """Px of a face unit."""
        return len(self.pixels) / (WIDE * FACE_PER_CROP)


def moved(scene: Scene, matrix: Matrix) -> Scene:
    """The scene in another place: `matrix` (2, 3) maps its px to px of a square of the same side."""
    side = len(scene.pixels)
    return Scene(
        geometry.warp(scene.pixels, matrix, side, side),
        geometry.warp_labels(scene.labels, matrix, side, side, UNLABELLED),
        geometry.warp(scene.person, matrix, side, side, edge="zero"),
        geometry.move_points(scene.mesh, matrix),
    )


def put_behind(scene: Scene, other: Scene, random: Generator) -> Scene:
    """The person of a scene before another photo, which may show a person, a neighbour, off centre."""
    unit = scene.unit_px
    side = random.choice([-1, 1])
    shift = np.array([side * random.uniform(1.3, 2.8), random.normal(0, 0.5)]) * unit
    matrix = geometry.similarity_about_centre(
        len(scene.pixels), scale=random.uniform(0.6, 1.3), degrees=random.normal(0, 8), shift_px=shift
    )
    behind = moved(other, matrix)
    share = scene.person[..., None].astype(np.float32) / 255
    pixels = (scene.pixels * share + behind.pixels * (1 - share)).astype(np.uint8)
    labels = scene.labels.copy()
    labels[scene.person < 40] = CLASSES.index("background")
    labels[(scene.person >= 40) & (scene.person < 200) & (labels == CLASSES.index("background"))] = UNLABELLED
    return replace(scene, pixels=pixels, labels=labels)


def put_in_front(scene: Scene, pixels: Pixels, share: Plane, name: str) -> Scene:
    """The scene with pixels (S, S, 3) laid over it by their share (S, S) in [0, 1], labelled as a class."""
    laid = share[..., None]
    labels = scene.labels.copy()
    labels[share > 0.2] = UNLABELLED
    labels[share > 0.6] = CLASSES.index(name)
    person = np.maximum(scene.person, (255 * share).astype(np.uint8)) if name != "other" else scene.person
    return replace(
        scene, pixels=(pixels * laid + scene.pixels * (1 - laid)).astype(np.uint8), labels=labels, person=person
    )


def put_on_thing(scene: Scene, other: Scene, name: str, random: Generator) -> Scene:
    """The scene with the hat, or the thing in front, of another scene, recoloured at random, in nearly its place."""
    freedom = 0.08 if name == "hat" else 0.5
    shift = random.normal(0, freedom, 2) * scene.unit_px
    matrix = geometry.similarity_about_centre(
        len(scene.pixels), scale=random.uniform(0.95, 1.15), degrees=random.normal(0, 5), shift_px=shift
    )
    if random.random() < 0.5:
        matrix = matrix @ np.array([[-1, 0, len(scene.pixels) - 1], [0, 1, 0], [0, 0, 1]])
    brought = moved(other, matrix)
    share = soften(brought.labels == CLASSES.index(name), 1.2)
    return put_in_front(scene, recolour(brought.pixels, random), share, name)


def put_on_mask(scene: Scene, random: Generator) -> Scene:
    """The scene with a cloth or surgical mask over nose and mouth."""
    side = len(scene.pixels)
    mesh = scene.mesh[list(SURGICAL_MASK)]
    outline = mesh + random.normal(0, 0.04, mesh.shape) * scene.unit_px
    outline[0, 1] += random.uniform(-0.1, 0.3) * scene.unit_px
    inside = shapes.fill_polygon(outline, side, side) > 0
    colour = draw_colour(_MASK_COLOURS, random)
    return put_in_front(scene, make_cloth(scene, colour, random), soften(inside, 1.0), "other")


def put_on_headwear(scene: Scene, random: Generator) -> Scene:
    """The scene with a drawn headscarf, cap, turban or hood, which is labelled as a hat."""
    hole, cloth = draw_headwear(scene, random)
    if random.random() < _COVERS_HAIR_SHARE:
        cloth |= (scene.labels == CLASSES.index("hair")) & ~hole & (_places(scene)[..., 1] < 1)
    pixels = _drape(make_cloth(scene, draw_colour(_CLOTH_COLOURS, random), random), hole, scene.unit_px, random)
    shadow = geometry.blur(cloth.astype(np.float32), 0.06 * scene.unit_px) * np.float32(random.uniform(0, 0.5))
    shaded = np.where(cloth[..., None], scene.pixels, scene.pixels * (1 - shadow)[..., None]).astype(np.uint8)
    share = soften(cloth, random.uniform(0.6, 1.6))
    return put_in_front(replace(scene, pixels=shaded), pixels, share, "hat")


def draw_headwear(scene: Scene, random: Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where random headwear leaves the face free, and where its cloth is, (S, S) each."""
    across, down = np.moveaxis(_places(scene), -1, 0)
    across, kind = np.abs(across), random.choice(["scarf", "cap", "hood"], p=[0.5, 0.3, 0.2])
    if kind == "cap":
        edge = random.uniform(-0.85, -0.5) + random.uniform(0.1, 0.6) * across**2
        crown = _grow_face(scene, random.uniform(1.05, 1.35), random.uniform(1.3, 1.9), random)
        return down > edge, crown & (down <= edge)
    if kind == "scarf":
        hole = _grow_face(scene, random.uniform(0.93, 1.08), random.uniform(0.9, 1.2), random)
    else:
        hole = _grow_face(scene, random.uniform(1.1, 1.35), random.uniform(1.15, 1.5), random)
        hole |= (down > 0) & (across < random.uniform(0.6, 1.1))  # the neck shows
    outer = _grow_face(scene, random.uniform(1.3, 1.65), random.uniform(1.45, 1.8), random)
    below = (down > 0.3) & (across < random.uniform(1.2, 1.6) + random.uniform(0.2, 1.5) * (down - 0.3))
    return hole, (outer | (below & (down < random.uniform(1.4, 5.0)))) & ~hole


def _places(scene: Scene) -> Plane:
    """(S, S, 2) places of the pixels from the centre of the face, by half its width and half its height."""
    top, chin, left, right = (scene.mesh[point] for point in (*_TOP_AND_CHIN, *_EARS))
    down, across = (chin - top) / 2, (right - left) / 2
    away = geometry.pixel_grid(len(scene.pixels), len(scene.pixels)) - (top + chin) / 2
    axes = np.stack([across / (across @ across + 1), down / (down @ down + 1)], 1)
    return (away.astype(np.float32) @ axes.astype(np.float32)).astype(np.float32)


def _grow_face(scene: Scene, aside: float, above: float, random: Generator) -> NDArray[np.bool_]:
    """(S, S) inside the outline of the face, grown by factors to the sides and below, and above, and made uneven."""
    outline = scene.mesh[list(FACE_OUTLINE)]
    chin = outline[len(outline) // 2]
    centre = (outline[0] + chin) / 2
    away = outline - centre
    up = np.clip(-(away @ (chin - centre)) / (np.sum((outline[0] - centre) ** 2) + 1), 0, 1)
    angles = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    uneven = sum(random.normal(0, 0.03) * np.cos(n * angles + random.uniform(0, 6.3)) for n in (1, 2, 3))
    factor = aside + (above - aside) * up + uneven
    return shapes.fill_polygon(centre + away * factor[:, None], len(scene.pixels), len(scene.pixels)) > 0


def _drape(cloth: Pixels, hole: NDArray[np.bool_], unit_px: float, random: Generator) -> Pixels:
    """Cloth (S, S, 3) with folds around a hole, darker at its edge, and with a weave at times; shaded at half size."""
    side = len(cloth)
    small, unit = side // 2, unit_px / 2
    away = regions.distance_px(~hole[::2, ::2]).astype(np.float32)[:small, :small] / np.float32(unit)
    noise = random.standard_normal((small // 4, small // 4)).astype(np.float32)
    noise = geometry.resize(geometry.blur(noise, unit * random.uniform(0.04, 0.12)), small, small)
    noise /= noise.std() + np.float32(1e-6)
    grid = geometry.pixel_grid(small, small) / np.float32(unit)
    edge = np.float32(random.uniform(0, 0.6)) * np.exp(-away / np.float32(random.uniform(0.05, 0.4)))
    shade = np.float32(0.08) * noise - edge
    for _ in range(random.integers(0, 4)):
        along = np.float32(random.uniform(0, 1)) * away + grid @ _direction(random)
        wave = np.sin(
            (along / np.float32(random.uniform(0.15, 1)) + np.float32(random.uniform(0.1, 0.5)) * noise) * 6.28
        )
        shade += np.float32(random.uniform(0.03, 0.2)) * wave
    if random.random() < _WEAVE_SHARE:
        lines = np.sin(grid @ _direction(random) * np.float32(6.28 / random.uniform(0.02, 0.08)))
        shade += np.float32(random.uniform(0.03, 0.25)) * lines
    shade = geometry.resize(np.clip(1 + shade, 0.1, 2), side, side)
    return np.clip(cloth * shade[..., None], 0, 255).astype(np.uint8)


def _direction(random: Generator) -> Plane:
    """(2,) a random unit vector."""
    angle = random.uniform(0, np.pi)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def put_on_shape(scene: Scene, texture: Pixels, random: Generator) -> Scene:
    """The scene with a microphone, or a thing of random shape, with a texture (S, S, 3) from another photo."""
    side, unit = len(scene.pixels), scene.unit_px
    if random.random() < _MICROPHONE_SHARE:
        centre = scene.mesh[_CHIN_POINT] + np.array([random.normal(0, 0.5), random.uniform(0.1, 0.8)]) * unit
        radius = random.uniform(0.15, 0.4) * unit
        stick = np.stack([centre, centre + np.array([random.normal(0, 1.5), 4]) * unit])
        thickness = radius * random.uniform(0.3, 0.8)
        mask = shapes.join([shapes.draw_disc(centre, radius, side), shapes.draw_line(stick, side, thickness)])
        texture = (0.2 * texture + 0.8 * random.integers(0, 90)).astype(np.uint8)
    else:
        angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 9)))
        reach = random.uniform(0.2, 1.3, len(angles))[:, None] * unit
        centre = scene.mesh[list(FACE_OUTLINE)].mean(0) + random.normal(0, 1.1, 2) * unit
        outline = centre + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
        mask = shapes.fill_polygon(outline, side, side)
    return put_in_front(scene, texture, soften(mask > 0, random.uniform(0.6, 2.0)), "other")


def put_on_glasses(scene: Scene, random: Generator) -> Scene:
    """The scene with drawn glasses: frames of many shapes, with clear, tinted or dark lenses."""
    lenses, frame = draw_glasses(scene, random)
    is_dark = random.random() < _DARK_LENS_SHARE
    tint = random.integers(0, 90, 3) if is_dark else random.integers(150, 256, 3)
    if is_dark:
        scene = put_in_front(scene, make_cloth(scene, tint, random), lenses * random.uniform(0.8, 1.0), "glasses")
    else:
        share = random.uniform(0.0, 0.25) * lenses[..., None]
        scene = replace(scene, pixels=(scene.pixels * (1 - share) + tint * share).astype(np.uint8))
    colour = draw_colour(_FRAME_COLOURS, random)
    return put_in_front(scene, make_cloth(scene, colour, random), frame, "glasses")


def draw_glasses(scene: Scene, random: Generator) -> tuple[Plane, Plane]:
    """The lenses and the frame of random glasses that fit the face, (S, S) in [0, 1] each."""
    side, unit = len(scene.pixels), scene.unit_px
    eyes = np.stack([scene.mesh[list(corners)].mean(0) for corners in _EYE_CORNERS])
    across = (eyes[1] - eyes[0]) / max(float(np.linalg.norm(eyes[1] - eyes[0])), 1e-3)
    down = np.array([-across[1], across[0]])
    eyes = eyes + random.uniform(-0.02, 0.15) * unit * down
    half = np.array([random.uniform(0.32, 0.46), random.uniform(0.22, 0.4)]) * unit
    angles = np.linspace(0, 2 * np.pi, 40)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    rim = np.sign(circle) * np.abs(circle) ** (2 / random.uniform(2, 5)) * half  # a superellipse
    rims = [eye + rim[:, :1] * across + rim[:, 1:] * down for eye in eyes]
    hinges = [eye + sign * half[0] * across for eye, sign in zip(eyes, (-1, 1), strict=True)]
    inner = [eye - sign * half[0] * across for eye, sign in zip(eyes, (-1, 1), strict=True)]
    arms = [np.stack([hinge, scene.mesh[ear]]) for hinge, ear in zip(hinges, _EARS, strict=True)]
    thickness = random.uniform(0.0, 0.06) * unit  # anti-aliasing adds some 2 px
    lines = [shapes.draw_line(points, side, thickness, closed=True) for points in rims]
    lines += [shapes.draw_line(points, side, thickness) for points in (np.stack(inner), *arms)]
    lenses = shapes.join([shapes.fill_polygon(points, side, side) for points in rims])
    return _to_share(lenses), _to_share(shapes.join(lines))


def _to_share(mask: NDArray[np.uint8]) -> Plane:
    return (mask / 255).astype(np.float32)


def draw_colour(usual: Sequence[tuple[int, int, int]], random: Generator) -> NDArray[np.int64]:
    """One of the usual colours, or, as often as any of these, another one; (3,)."""
    colours = np.vstack([usual, random.integers(0, 256, 3)])
    return colours[random.integers(len(colours))]


def recolour(pixels: Pixels, random: Generator) -> Pixels:
    """The picture (H, W, 3) in another hue, and lighter or darker."""
    shifted = regions.shift_hue(pixels, random.uniform(0, 360))
    levels = (255 * (np.arange(256) / 255) ** random.uniform(0.5, 1.8)).astype(np.uint8)
    return levels[shifted]


def make_cloth(scene: Scene, colour: NDArray[np.integer], random: Generator) -> Pixels:
    """(S, S, 3) cloth of one colour (3,), lit as the scene is, with a little texture."""
    light = geometry.blur(regions.to_light(scene.pixels), 8) / 140
    texture = 1 + random.uniform(0.0, 0.08) * random.standard_normal(light.shape).astype(np.float32)
    return regions.to_pixels(colour.astype(np.float32) * ((0.4 + 0.6 * light) * texture)[..., None])


def soften(mask: NDArray[np.bool_], radius_px: float) -> Plane:
    """A mask (H, W) with a soft border, float32 in [0, 1]."""
    return geometry.blur(mask.astype(np.float32), radius_px)
