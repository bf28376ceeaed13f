"""Automatic labels of a drawn person: right where they are certain, and nothing where they are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.face_classes import CLASSES
from reage.images import geometry
from reage.mesh_points import BROW_OUTLINES, EYE_OUTLINES, FACE_OUTLINE, MOUTH_OUTLINE
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.occlusions import Scene
from reage.training.measures.segmentation_labels import LABEL_PX, Labels, label_wide_crop, polygon
from reage.types import Plane

ALL_VISIBLE = np.ones((512, 512), bool)
MESH_CLASSES = ("facial_hair", "eyes", "mouth")


def matte_of(scene: Scene) -> Plane:
    """(256, 256) as coarse as that of a net."""
    return geometry.resize(geometry.blur(scene.person.astype(np.float32) / 255, 4), LABEL_PX, LABEL_PX)


def label(scene: Scene, **options: bool) -> Labels:
    return label_wide_crop(scene.pixels, scene.mesh, matte_of(scene), ALL_VISIBLE, **options)


def small_points(scene: Scene) -> Plane:
    return geometry.move_points(scene.mesh, geometry.resize_matrix(len(scene.pixels), LABEL_PX))


def truth(scene: Scene) -> Labels:
    return scene.labels[::2, ::2]


@pytest.fixture(scope="module")
def labelled(drawn: Scene) -> Labels:
    return label(drawn)


def agreement(labels: Labels, true: Labels, name: str) -> tuple[float, float]:
    """Share of the labels of a class that are right, and share of the class that has its label."""
    found, there = labels == CLASSES.index(name), true == CLASSES.index(name)
    both = (found & there).sum()
    return both / max(found.sum(), 1), both / there.sum()


def test_labels_are_classes_in_the_size_of_the_net(labelled: Labels) -> None:
    assert labelled.shape == (LABEL_PX, LABEL_PX)
    assert labelled.dtype == np.int8
    assert {CLASSES[index] for index in np.unique(labelled) if index != UNLABELLED} == {
        *("background", "skin", "hair", "clothes", *MESH_CLASSES)
    }


@pytest.mark.parametrize(("name", "least"), [("background", 0.98), ("skin", 0.85), ("hair", 0.9), ("clothes", 0.98)])
def test_a_drawn_person_is_labelled_as_drawn(labelled: Labels, drawn: Scene, name: str, least: float) -> None:
    right, found = agreement(labelled, truth(drawn), name)
    assert right > 0.98
    assert found > least


@pytest.mark.parametrize(
    "colours",
    [
        {"hair": (215, 190, 130), "facial_hair": (170, 140, 90)},
        {"skin": (95, 62, 48), "hair": (25, 20, 18), "facial_hair": (22, 18, 16), "background": (190, 190, 200)},
        {"clothes": (225, 225, 220), "background": (40, 40, 45)},
    ],
    ids=["fair hair", "dark skin", "dark background"],
)
def test_other_colours_are_labelled_too(draw_person: Callable[..., Scene], colours: dict[str, tuple]) -> None:
    scene = draw_person(**colours)
    labels = label(scene)
    for name in ("background", "skin", "hair", "clothes"):
        right, found = agreement(labels, truth(scene), name)
        assert right > 0.95, name
        assert found > 0.8, name


def test_the_mesh_draws_eyes_brows_and_mouth_whatever_the_picture_shows(drawn: Scene) -> None:
    hidden = drawn.pixels.copy()
    points = small_points(drawn)
    face = polygon(drawn.mesh / 2, FACE_OUTLINE)
    hidden[np.repeat(np.repeat(face, 2, 0), 2, 1)] = (205, 160, 138)
    labels = label_wide_crop(hidden, drawn.mesh, matte_of(drawn), ALL_VISIBLE)
    for outlines, name in (
        (EYE_OUTLINES, "eyes"),
        (BROW_OUTLINES, "facial_hair"),
        ((MOUTH_OUTLINE,), "mouth"),
    ):
        for outline in outlines:
            core = polygon(points, outline, -0.04)
            assert core.any()
            assert (labels[core] == CLASSES.index(name)).all(), name


def test_outlines_are_filled_as_they_are_and_not_their_hulls() -> None:
    notched = np.array([(40, 40), (120, 100), (200, 40), (200, 180), (40, 180)], np.float32)
    filled = polygon(notched, (0, 1, 2, 3, 4))
    hull = geometry.fill_polygon(notched, LABEL_PX, LABEL_PX) > 0
    assert filled[150, 120]
    assert hull[60, 120]
    assert not filled[60, 120]
    assert filled.sum() == pytest.approx(hull.sum() - 160 * 60 / 2, rel=0.02)
    grown = polygon(notched, (0, 1, 2, 3, 4), 0.1)
    assert (grown & ~filled).any()
    assert not (filled & ~grown).any()
    assert not grown[60, 120]


def test_brows_are_as_bent_as_the_mesh_has_them(labelled: Labels, drawn: Scene) -> None:
    """Skin below the middle of a brow is in its hull, and is no brow."""
    points = small_points(drawn).copy()
    for outline in BROW_OUTLINES:
        points[list(outline[:5]), 1] -= 12 * np.sin(np.linspace(0, np.pi, 5))
        points[list(outline[5:]), 1] -= 12 * np.sin(np.linspace(0, np.pi, 5))
    labels = label_wide_crop(drawn.pixels, points * 2 + 0.5, matte_of(drawn), ALL_VISIBLE)
    eyes_y = points[[33, 133, 362, 263], 1].min()
    brows = (labels == CLASSES.index("facial_hair")) & (np.arange(LABEL_PX)[:, None] < eyes_y)
    for outline in BROW_OUTLINES:
        hull = geometry.fill_polygon(points[list(outline)], LABEL_PX, LABEL_PX) > 0
        below = hull & ~polygon(points, outline, 0.07)
        assert below.sum() > 20
        assert not brows[below].any()
        assert brows[polygon(points, outline)].all()


def test_much_skin_above_the_forehead_is_unlabelled_with_the_hair_there(draw_person: Callable[..., Scene]) -> None:
    """It may be fair hair; of a photo whose hair is told apart the hair keeps its label."""
    fair = draw_person(hair=(205, 160, 138))
    high = np.arange(LABEL_PX)[:, None] < small_points(fair)[10, 1] - 0.2 * LABEL_PX / 8.4
    labels = label(fair)
    above = labels[high & (truth(fair) == CLASSES.index("hair"))]
    assert above.size > 200
    assert not np.isin(above, (CLASSES.index("skin"), CLASSES.index("hair"))).any()
    assert (labels[truth(fair) == CLASSES.index("skin")] == CLASSES.index("skin")).mean() > 0.6
    dark = label(draw_person())[high & (truth(fair) == CLASSES.index("hair"))]
    assert (dark == CLASSES.index("hair")).mean() > 0.9


def test_features_have_an_unlabelled_rim(labelled: Labels, drawn: Scene) -> None:
    for outline in EYE_OUTLINES:
        rim = polygon(small_points(drawn), outline, 0.04) & ~polygon(small_points(drawn), outline)
        assert rim.sum() > 20
        assert np.isin(labelled[rim], (UNLABELLED, CLASSES.index("eyes"))).all()


def test_a_shut_mouth_is_skin(drawn: Scene) -> None:
    shut = drawn.mesh.copy()
    upper, lower = MOUTH_OUTLINE[1:10], MOUTH_OUTLINE[:10:-1]
    middle = (shut[list(upper)] + shut[list(lower)]) / 2
    gap = np.array([0, 0.3])
    shut[list(upper)], shut[list(lower)] = middle - gap, middle + gap
    labels = label_wide_crop(drawn.pixels, shut, matte_of(drawn), ALL_VISIBLE)
    assert not (labels == CLASSES.index("mouth")).any()
    x, y = np.rint(small_points(drawn)[[13, 14]].mean(0)).astype(int)
    assert labels[y, x] == CLASSES.index("skin")


def test_nothing_is_labelled_outside_the_photo(drawn: Scene) -> None:
    visible = ALL_VISIBLE.copy()
    visible[:, :60] = visible[450:] = False
    labels = label_wide_crop(drawn.pixels, drawn.mesh, matte_of(drawn), visible)
    assert (labels[:, :29] == UNLABELLED).all()
    assert (labels[226:] == UNLABELLED).all()
    assert (labels[100:200, 40:60] == CLASSES.index("background")).mean() > 0.95


def test_hair_that_is_joined_to_no_head_is_unlabelled(drawn: Scene, labelled: Labels) -> None:
    """A scarf of the colour of the hair looks like it."""
    unit, (x, y) = drawn.unit_px, drawn.mesh[152]
    pixels, person = drawn.pixels.copy(), drawn.person.copy()
    rows = slice(round(y + 0.25 * unit), round(y + 0.9 * unit))
    for ends in ((-1.5, -0.75), (0.75, 1.5)):
        scarf = rows, slice(*(round(x + end * unit) for end in ends))
        pixels[scarf], person[scarf] = (60, 42, 30), 255
    worn = Scene(pixels, drawn.labels, person, drawn.mesh)
    labels = label(worn)
    hair = labels == CLASSES.index("hair")
    assert (
        labels[round((y + 0.4 * unit) / 2) : round((y + 0.8 * unit) / 2), round((x + unit) / 2)] == UNLABELLED
    ).all()
    assert not hair[rows.start // 2 :].any()
    assert (hair & (labelled == CLASSES.index("hair"))).sum() > 0.9 * (labelled == CLASSES.index("hair")).sum()


def test_a_drawn_beard_is_facial_hair(drawn: Scene) -> None:
    points = small_points(drawn)
    region = polygon(points, FACE_OUTLINE, -0.08)
    rows = np.arange(LABEL_PX)[:, None]
    beard = region & (rows > points[[0, 17], 1].mean()) & ~polygon(points, (*MOUTH_OUTLINE, 17, 0), 0.08)
    pixels = drawn.pixels.copy()
    grown = np.repeat(np.repeat(beard, 2, 0), 2, 1)
    pixels[grown] = np.random.default_rng(0).normal((45, 38, 34), 5, (grown.sum(), 3)).astype(np.uint8)
    labels = label_wide_crop(pixels, drawn.mesh, matte_of(drawn), ALL_VISIBLE)
    assert (labels[beard] == CLASSES.index("facial_hair")).mean() > 0.8
    bare = (label(drawn) == CLASSES.index("facial_hair")) & (rows > points[2, 1])
    assert not bare.any()


def test_glasses_are_left_unlabelled(drawn: Scene, labelled: Labels) -> None:
    worn = label(drawn, has_glasses=True)
    points = small_points(drawn)
    around = polygon(points, EYE_OUTLINES[0], 0.45) | polygon(points, EYE_OUTLINES[1], 0.45)
    assert (worn[around] == UNLABELLED).all()
    np.testing.assert_array_equal(worn[~around], labelled[~around])


def test_labels_hardly_depend_on_the_size_of_the_crop(
    draw_person: Callable[..., Scene], drawn: Scene, labelled: Labels
) -> None:
    half = geometry.resize(drawn.pixels, LABEL_PX, LABEL_PX)
    again = label_wide_crop(half, small_points(drawn), matte_of(drawn), np.ones((LABEL_PX, LABEL_PX), bool))
    assert (again == labelled).mean() > 0.99


def test_labels_are_the_same_every_time(drawn: Scene, labelled: Labels) -> None:
    np.testing.assert_array_equal(label(drawn), labelled)
