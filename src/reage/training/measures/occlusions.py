"""Things put in front of and behind labelled faces, so that a face parser learns hats, glasses, masks and neighbours.

Convention:
    a `Scene` is a wide crop with its labels; see `reage.training.measures.segmentation_labels`. All randomness comes
    from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from reage.face_classes import CLASSES
from reage.faces.geometry import FACE_PER_CROP
from reage.mesh_points import FACE_OUTLINE
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.segmentation_labels import WIDE, Labels
from reage.types import Matrix, Pixels, Plane

SURGICAL_MASK = (197, 118, 117, 123, 147, 132, 58, 172, 136, 150, 149, 176, 148, 152) + (
    (377, 400, 378, 379, 365, 397, 288, 361, 376, 352, 346, 347)
)
"""Outline of a mask over nose and mouth, by numbers of mesh points."""
_EYE_CORNERS = ((33, 133), (362, 263))


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
    size = (len(scene.pixels), len(scene.pixels))
    return Scene(
        cv2.warpAffine(scene.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(scene.labels, matrix, size, flags=cv2.INTER_NEAREST, borderValue=UNLABELLED),
        cv2.warpAffine(scene.person, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0),
        scene.mesh @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32),
    )


def put_behind(scene: Scene, other: Scene, random: Generator) -> Scene:
    """The person of a scene before another photo, which may show a person, a neighbour, off centre."""
    unit = scene.unit_px
    side = random.choice([-1, 1])
    shift = np.array([side * random.uniform(1.3, 2.8), random.normal(0, 0.5)]) * unit
    behind = moved(other, about_centre(len(scene.pixels), random.uniform(0.6, 1.3), random.normal(0, 8), shift))
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
    matrix = about_centre(len(scene.pixels), random.uniform(0.95, 1.15), random.normal(0, 5), shift)
    if random.random() < 0.5:
        matrix = matrix @ np.array([[-1, 0, len(scene.pixels) - 1], [0, 1, 0], [0, 0, 1]])
    brought = moved(other, matrix)
    share = soften(brought.labels == CLASSES.index(name), 1.2)
    return put_in_front(scene, recolour(brought.pixels, random), share, name)


def put_on_mask(scene: Scene, random: Generator) -> Scene:
    """The scene with a cloth or surgical mask over nose and mouth."""
    outline = scene.mesh[list(SURGICAL_MASK)]
    outline = outline + random.normal(0, 0.04, outline.shape) * scene.unit_px
    outline[0] += np.array([0, random.uniform(-0.1, 0.3)]) * scene.unit_px
    inside = fill(outline, len(scene.pixels))
    colour = random.choice([[150, 195, 215], [235, 238, 240], [30, 30, 32], random.integers(0, 256, 3)])
    cloth = shaded_cloth(scene, colour, random)
    return put_in_front(scene, cloth, soften(inside, 1.0), "other")


def put_on_shape(scene: Scene, texture: Pixels, random: Generator) -> Scene:
    """The scene with a microphone, or another thing without a name, with a texture from another photo."""
    side, unit = len(scene.pixels), scene.unit_px
    mask = np.zeros((side, side), np.uint8)
    centre = scene.mesh[list(FACE_OUTLINE)].mean(0) + random.normal(0, 1.1, 2) * unit
    if random.random() < 0.4:  # a microphone on its stick
        centre = scene.mesh[17] + np.array([random.normal(0, 0.5), random.uniform(0.1, 0.8)]) * unit
        radius = random.uniform(0.15, 0.4) * unit
        end = centre + np.array([random.normal(0, 1.5), 4]) * unit
        cv2.circle(mask, _point(centre), int(radius), 1, -1)
        cv2.line(mask, _point(centre), _point(end), 1, max(1, int(radius * random.uniform(0.3, 0.8))))
        plain = np.full((side, side, 3), random.integers(0, 90), np.uint8)
        texture = cv2.addWeighted(plain, 0.8, texture, 0.2, 0)
    else:
        angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 9)))
        reach = random.uniform(0.2, 1.3, len(angles))[:, None] * unit
        outline = centre + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return put_in_front(scene, texture, soften(mask > 0, random.uniform(0.6, 2.0)), "other")


def put_on_glasses(scene: Scene, random: Generator) -> Scene:
    """The scene with drawn glasses: frames of many shapes, clear, tinted or dark lenses, glints."""
    side, unit, scale = len(scene.pixels), scene.unit_px, 2
    eyes = [scene.mesh[list(pair)].mean(0) for pair in _EYE_CORNERS]
    across = (eyes[1] - eyes[0]) / max(float(np.linalg.norm(eyes[1] - eyes[0])), 1e-3)
    down = np.array([-across[1], across[0]])
    half = np.array([random.uniform(0.32, 0.46), random.uniform(0.22, 0.4)]) * unit
    power, drop = random.uniform(2, 5), random.uniform(-0.02, 0.15) * unit
    angles = np.linspace(0, 2 * np.pi, 40)
    shape = np.stack([np.cos(angles), np.sin(angles)], 1)
    shape = np.sign(shape) * np.abs(shape) ** (2 / power) * half
    lens, frame = np.zeros((2, side * scale, side * scale), np.uint8)
    thickness = max(2, int(random.uniform(0.02, 0.09) * unit * scale))
    for eye in eyes:
        outline = eye + drop * down + shape[:, :1] * across + shape[:, 1:] * down
        points = [np.rint((outline + 0.5) * scale).astype(np.int32)]
        cv2.fillPoly(lens, points, 255)
        cv2.polylines(frame, points, True, 255, thickness, cv2.LINE_AA)
    inner = [eye + drop * 0.3 * down + sign * half[0] * across for eye, sign in zip(eyes, (1, -1), strict=True)]
    cv2.line(frame, _point(inner[0] * scale), _point(inner[1] * scale), 255, thickness)
    for eye, sign, ear in zip(eyes, (-1, 1), (127, 356), strict=True):
        hinge = eye + drop * 0.3 * down + sign * half[0] * across
        cv2.line(frame, _point(hinge * scale), _point(scene.mesh[ear] * scale), 255, thickness)
    lens, frame = (cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in (lens, frame))
    dark = random.random() < 0.35
    tint = random.integers(0, 90, 3) if dark else random.integers(150, 256, 3)
    opacity = random.uniform(0.8, 1.0) if dark else random.uniform(0.0, 0.25)
    share = lens.astype(np.float32) / 255
    if dark:
        scene = put_in_front(scene, shaded_cloth(scene, tint, random), share * opacity, "glasses")
    else:
        through = (scene.pixels * (1 - opacity * share[..., None]) + tint * opacity * share[..., None]).astype(np.uint8)
        scene = replace(scene, pixels=through)
    colour = random.choice([[25, 22, 20], [90, 60, 35], [190, 170, 110], random.integers(0, 256, 3)])
    return put_in_front(scene, shaded_cloth(scene, colour, random), frame.astype(np.float32) / 255, "glasses")


def about_centre(side_px: int, scale: float, degrees: float, shift_px: NDArray[np.float64]) -> Matrix:
    """(2, 3) similarity about the centre of a square of that side, then a shift (2,) px."""
    matrix: Matrix = cv2.getRotationMatrix2D(((side_px - 1) / 2, (side_px - 1) / 2), degrees, scale)
    matrix[:, 2] += shift_px
    return matrix


def recolour(pixels: Pixels, random: Generator) -> Pixels:
    """The picture (H, W, 3) in another hue, and lighter or darker."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + int(random.integers(0, 180))) % 180
    changed = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)
    return np.clip(255 * (changed / 255) ** random.uniform(0.5, 1.8), 0, 255).astype(np.uint8)


def shaded_cloth(scene: Scene, colour: NDArray[np.integer] | list[int], random: Generator) -> Pixels:
    """(S, S, 3) cloth of one colour, lit as the scene is, with a little texture."""
    light = cv2.GaussianBlur(cv2.cvtColor(scene.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 8) / 140
    grain = 1 + random.uniform(0.0, 0.08) * random.standard_normal(light.shape).astype(np.float32)
    mixed = 0.4 + 0.6 * light
    return np.clip(np.asarray(colour, np.float32) * (mixed * grain)[..., None], 0, 255).astype(np.uint8)


def fill(outline: Plane, side_px: int) -> NDArray[np.bool_]:
    """(S, S) inside a polygon (N, 2) px."""
    mask = np.zeros((side_px, side_px), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask > 0


def soften(mask: NDArray[np.bool_], radius_px: float) -> Plane:
    """A mask (H, W) with a soft border, float32 in [0, 1]."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), radius_px)


def _point(place: NDArray[np.floating]) -> tuple[int, int]:
    return int(place[0]), int(place[1])
