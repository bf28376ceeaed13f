"""Wide crops for the face parser: that of the demo photo, and a drawn person whose labels are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.face_classes import CLASSES
from reage.faces.detector import BlazeFaceDetector, Detection, align
from reage.images import geometry, shapes
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, LIP_OUTLINE, MOUTH_OUTLINE
from reage.training.measures.occlusions import Scene
from reage.training.measures.scenes import WIDE_PX, wide_from_crop
from reage.training.measures.segmentation_labels import WIDE
from reage.types import Matrix, Pixels, Plane

COLOURS = {
    "background": (110, 150, 105),
    "hair": (60, 42, 30),
    "clothes": (50, 60, 150),
    "skin": (205, 160, 138),
    "facial_hair": (70, 50, 38),
    "eyes": (235, 235, 230),
    "mouth": (240, 236, 225),
}
LIPS = (170, 90, 90)


@pytest.fixture(scope="session")
def detection(photo: Pixels) -> Detection:
    """The face of the demo photo, without a segmentation."""
    (found,) = BlazeFaceDetector().detect(photo)
    return found


@pytest.fixture(scope="session")
def wide_from_photo(detection: Detection) -> Matrix:
    """(2, 3) into the wide crop of the demo photo."""
    return wide_from_crop(align(detection.landmarks, WIDE_PX // int(WIDE)))


@pytest.fixture(scope="session")
def wide_mesh(detection: Detection, wide_from_photo: Matrix) -> Plane:
    """(478, 2) its mesh in the wide crop, of 512 px."""
    return geometry.move_points(detection.mesh[:, :2], wide_from_photo)


@pytest.fixture(scope="session")
def draw_person(wide_mesh: Plane) -> Callable[..., Scene]:
    """Draws a person with the face of the demo photo; every pixel is labelled."""

    def draw(side_px: int = WIDE_PX, seed: int = 0, **colours: tuple[int, int, int]) -> Scene:
        mesh = geometry.move_points(wide_mesh, geometry.resize_matrix(WIDE_PX, side_px))
        palette = {**COLOURS, **colours}
        labels = np.zeros((side_px, side_px), np.int8)
        for name, mask in parts_of(mesh, side_px).items():
            labels[mask > 0] = CLASSES.index(name)
        pixels = np.array([palette.get(name, (0, 0, 0)) for name in CLASSES], np.float32)[labels]
        lips = inside(mesh, LIP_OUTLINE, side_px) & (labels == CLASSES.index("skin"))
        pixels[lips] = LIPS
        rows = np.linspace(1.08, 0.92, side_px, dtype=np.float32)[:, None, None]
        pixels = pixels * rows + np.random.default_rng(seed).normal(0, 2, pixels.shape)
        person = geometry.blur((labels > 0).astype(np.float32), side_px / 400)
        return Scene(
            np.clip(np.rint(pixels), 0, 255).astype(np.uint8), labels, np.rint(255 * person).astype(np.uint8), mesh
        )

    return draw


@pytest.fixture(scope="session")
def drawn(draw_person: Callable[..., Scene]) -> Scene:
    """A drawn person, 512 px."""
    return draw_person()


def inside(mesh: Plane, outline: tuple[int, ...], side_px: int) -> np.ndarray:
    return shapes.fill_polygon(mesh[list(outline)], side_px, side_px) > 0


def parts_of(mesh: Plane, side_px: int) -> dict[str, Plane]:
    """Masks of the parts of a person by class, painted in order."""
    unit = side_px / 8.4
    face = inside(mesh, FACE_OUTLINE, side_px).astype(np.float32)
    chin, y = mesh[152], geometry.pixel_grid(side_px, side_px)[..., 1]
    hair = geometry.grow(face, 0.45 * unit) * (y < chin[1])
    shoulders = chin + np.array([(-3.5, 4.5), (-2.8, 1.6), (-0.7, 0.9), (0.7, 0.9), (2.8, 1.6), (3.5, 4.5)]) * unit
    neck = chin + np.array([(-0.6, -0.5), (0.6, -0.5), (0.6, 1.0), (0.0, 1.4), (-0.6, 1.0)]) * unit
    polygons = {"clothes": shoulders, "skin": neck}
    parts = {name: shapes.fill_polygon(outline, side_px, side_px) for name, outline in polygons.items()}
    skin = np.maximum(parts.pop("skin") > 0, face)
    brows, eyes = (
        np.maximum(*(inside(mesh, outline, side_px) for outline in outlines)).astype(np.float32)
        for outlines in (BROW_OUTLINES, EYE_OUTLINES)
    )
    mouth = inside(mesh, MOUTH_OUTLINE, side_px).astype(np.float32)
    return {"hair": hair, **parts, "skin": skin, "facial_hair": brows, "eyes": eyes, "mouth": mouth}
