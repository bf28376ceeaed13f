"""What is put in front of or behind a person changes pixels and labels together, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reage.face_classes import CLASSES
from reage.images import geometry, shapes
from reage.mesh_points import EYE_OUTLINES
from reage.training.measures import occlusions
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.occlusions import Scene
from reage.types import Plane

SIDE = 128
SEEDS = range(12)
BACKGROUND, SKIN, GLASSES, HAT, OTHER = (
    CLASSES.index(name) for name in ("background", "skin", "glasses", "hat", "other")
)


@pytest.fixture(scope="module")
def scene(draw_person: Callable[..., Scene]) -> Scene:
    return draw_person(SIDE)


@pytest.fixture(scope="module")
def hatted(draw_person: Callable[..., Scene]) -> Scene:
    """Another person, with a red hat on the head and a hand before the chin."""
    other = draw_person(SIDE, 1, background=(30, 60, 120))
    pixels, labels = other.pixels.copy(), other.labels.copy()
    x, y = np.rint(other.mesh[10]).astype(int)
    hat = np.s_[y - 14 : y + 2, x - 20 : x + 24]
    pixels[hat], labels[hat] = (200, 30, 40), HAT
    x, y = np.rint(other.mesh[152]).astype(int)
    hand = np.s_[y - 6 : y + 14, x - 4 : x + 26]
    pixels[hand], labels[hand] = (210, 170, 150), OTHER
    return replace(other, pixels=pixels, labels=labels)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def moved_px(before: Scene, after: Scene) -> Plane:
    """How much each pixel differs."""
    return np.abs(before.pixels.astype(int) - after.pixels).max(-1)


def assert_rest_untouched(before: Scene, after: Scene, level: int = 1) -> None:
    """Where the labels stay, far from where they do not, the pixels stay too."""
    changed = geometry.grow((before.labels != after.labels).astype(np.float32), 6) > 0
    assert moved_px(before, after)[~changed].max() <= level
    np.testing.assert_array_equal(before.mesh, after.mesh)


# Scenes


def test_a_scene_moves_as_a_whole(scene: Scene) -> None:
    matrix = geometry.similarity_about_centre(SIDE, scale=1.3, degrees=20, shift_px=np.array([5.0, -8.0]))
    moved = occlusions.moved(scene, matrix)
    np.testing.assert_allclose(moved.mesh, geometry.move_points(scene.mesh, matrix))
    for outline in EYE_OUTLINES:
        x, y = np.rint(moved.mesh[list(outline)].mean(0)).astype(int)
        assert CLASSES[moved.labels[y, x]] == "eyes"
        assert moved.pixels[y, x].min() > 180
        assert moved.person[y, x] > 250
    assert set(np.unique(moved.labels)) <= {*np.unique(scene.labels), UNLABELLED}


def test_beyond_a_moved_scene_is_nobody_and_no_label(scene: Scene) -> None:
    moved = occlusions.moved(scene, np.array([[1.0, 0, 30], [0, 1, 0]]))
    assert (moved.labels[:, :29] == UNLABELLED).all()
    assert (moved.person[:, :29] == 0).all()
    np.testing.assert_array_equal(moved.pixels[:, 30:], scene.pixels[:, :-30])


def test_a_unit_is_the_distance_of_the_eyes(scene: Scene) -> None:
    eyes = [scene.mesh[list(corners)].mean(0) for corners in ((33, 133), (362, 263))]
    assert scene.unit_px == pytest.approx(np.linalg.norm(eyes[1] - eyes[0]), rel=0.06)


# Behind


@pytest.mark.parametrize("seed", SEEDS)
def test_another_photo_behind_leaves_the_person(scene: Scene, hatted: Scene, seed: int) -> None:
    made = occlusions.put_behind(scene, hatted, random(seed))
    person, away = scene.person == 255, scene.person == 0
    np.testing.assert_array_equal(made.pixels[person], scene.pixels[person])
    np.testing.assert_array_equal(made.labels[person], scene.labels[person])
    assert (made.labels[away] == BACKGROUND).all()
    assert moved_px(scene, made)[away].mean() > 20
    np.testing.assert_array_equal(made.person, scene.person)


def test_what_is_neither_person_nor_background_is_unlabelled(scene: Scene, hatted: Scene) -> None:
    person = scene.person.copy()
    person[:20, :20] = 128
    labels = occlusions.put_behind(replace(scene, person=person), hatted, random()).labels
    assert (labels[:20, :20] == UNLABELLED).all()
    assert (labels[:20, 20:] == BACKGROUND).all()


def test_neighbours_stand_on_either_side(scene: Scene, hatted: Scene) -> None:
    """The hat of the neighbour, which is as red as nothing else."""
    sides = set()
    for seed in SEEDS:
        made = occlusions.put_behind(scene, hatted, random(seed)).pixels.astype(int)
        red = (made[..., 0] - made[..., 1:].max(-1)) > 100
        if red.any():
            sides.add(bool(np.argwhere(red)[:, 1].mean() > SIDE / 2))
    assert sides == {False, True}


# In front


@pytest.mark.parametrize("name", ["hat", "other"])
def test_what_is_laid_over_has_its_label_and_a_rim_none(scene: Scene, name: str) -> None:
    disc = shapes.draw_disc(scene.mesh[1], 12, SIDE) > 0
    share = occlusions.soften(disc, 1.5)
    made = occlusions.put_in_front(scene, np.full_like(scene.pixels, 77), share, name)
    assert (made.labels[share > 0.6] == CLASSES.index(name)).all()
    rim = (share > 0.2) & (share <= 0.6)
    assert rim.any()
    assert (made.labels[rim] == UNLABELLED).all()
    assert (made.pixels[share > 0.999] == 77).all()
    assert_rest_untouched(scene, made)


def test_what_is_worn_is_part_of_the_person_and_what_is_in_front_is_not(scene: Scene) -> None:
    share = np.zeros((SIDE, SIDE), np.float32)
    share[:10] = 1
    laid = {name: occlusions.put_in_front(scene, scene.pixels, share, name) for name in ("hat", "other")}
    assert (laid["hat"].person[:10] == 255).all()
    np.testing.assert_array_equal(laid["other"].person, scene.person)


@pytest.mark.parametrize(("name", "index"), [("hat", HAT), ("other", OTHER)])
def test_the_thing_of_another_is_put_on(scene: Scene, hatted: Scene, name: str, index: int) -> None:
    for seed in SEEDS:
        made = occlusions.put_on_thing(scene, hatted, name, random(seed))
        worn = made.labels == index
        assert 0.4 < worn.sum() / (hatted.labels == index).sum() < 1.6
        assert set(np.unique(made.labels)) <= {*np.unique(scene.labels), UNLABELLED, index}
        assert moved_px(scene, made)[worn].mean() > 15
        assert_rest_untouched(scene, made)


def test_a_hat_stays_on_the_head_in_other_colours(scene: Scene, hatted: Scene) -> None:
    there = np.argwhere(hatted.labels == HAT).mean(0)
    colours, places = [], []
    for seed in SEEDS:
        made = occlusions.put_on_thing(scene, hatted, "hat", random(seed))
        places.append(np.argwhere(made.labels == HAT).mean(0))
        colours.append(made.pixels[made.labels == HAT].mean(0))
    middle = np.array([there[0], (SIDE - 1) / 2])
    assert np.abs(np.array(places) - middle).max() < 0.5 * scene.unit_px
    assert np.std(places, axis=0).min() > 0
    assert np.std(colours, axis=0).min() > 15


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mask_covers_mouth_and_chin_and_leaves_the_eyes(scene: Scene, seed: int) -> None:
    made = occlusions.put_on_mask(scene, random(seed))
    for point in (2, 13, 17):
        x, y = np.rint(scene.mesh[point]).astype(int)
        assert made.labels[y, x] == OTHER, point
    eyes = scene.labels == CLASSES.index("eyes")
    np.testing.assert_array_equal(made.labels[eyes], scene.labels[eyes])
    np.testing.assert_array_equal(made.person, scene.person)
    assert_rest_untouched(scene, made)


def test_masks_have_many_colours(scene: Scene) -> None:
    colours = [
        (made := occlusions.put_on_mask(scene, random(seed))).pixels[made.labels == OTHER].mean(0) for seed in range(30)
    ]
    assert np.std(colours, axis=0).min() > 40


def test_shapes_and_microphones_show_the_texture(scene: Scene) -> None:
    texture = np.random.default_rng(5).integers(120, 256, scene.pixels.shape, np.uint8)
    sizes, shown = [], []
    for seed in range(30):
        made = occlusions.put_on_shape(scene, texture, random(seed))
        covered = made.labels == OTHER
        sizes.append(covered.sum())
        if covered.sum() > 30:
            inside = geometry.grow(covered.astype(np.float32), -3) > 0
            own = made.pixels[inside].astype(float).ravel()
            shown.append(np.corrcoef(own, texture[inside].astype(float).ravel())[0, 1] if own.size > 60 else 1.0)
        np.testing.assert_array_equal(made.person, scene.person)
        assert_rest_untouched(scene, made)
    assert np.count_nonzero(sizes) > 24
    assert np.std(sizes) > 100
    assert min(shown) > 0.8


# Glasses


def centres(scene: Scene) -> list[tuple[int, int]]:
    """(y, x) of the middle of each eye."""
    middles = (np.rint(scene.mesh[list(outline)].mean(0)).astype(int) for outline in EYE_OUTLINES)
    return [(y, x) for x, y in middles]


@pytest.mark.parametrize("seed", SEEDS)
def test_lenses_hold_the_eyes_and_the_frame_surrounds_them(scene: Scene, seed: int) -> None:
    lenses, frame = occlusions.draw_glasses(scene, random(seed))
    for mask in (lenses, frame):
        assert mask.shape == (SIDE, SIDE)
        assert mask.dtype == np.float32
        assert mask.min() == 0
        assert 0.85 < mask.max() <= 1
    for y, x in centres(scene):
        assert lenses[y, x] == 1
        assert frame[y, x] == 0
    rim = geometry.grow(lenses, 1) - geometry.grow(lenses, -1)
    assert frame[rim > 0].mean() > 0.4
    nose_x = round(float(scene.mesh[list(sum(EYE_OUTLINES, ())), 0].mean()))
    assert frame[:, nose_x].max() > 0.5
    away = scene.mesh[[127, 356]]
    assert all(frame[round(float(y)) - 3 : round(float(y)) + 4, round(float(x))].max() > 0.3 for x, y in away)


def test_lenses_are_clear_or_dark(scene: Scene) -> None:
    dark = 0
    for seed in range(40):
        made = occlusions.put_on_glasses(scene, random(seed))
        hidden = [made.labels[place] == GLASSES for place in centres(scene)]
        assert hidden[0] == hidden[1]
        dark += hidden[0]
        if hidden[0]:
            assert all(made.pixels[place].mean() < 120 for place in centres(scene))
        else:
            assert all(CLASSES[made.labels[place]] == "eyes" for place in centres(scene))
            assert all(
                np.abs(made.pixels[place].astype(int) - scene.pixels[place]).max() < 40 for place in centres(scene)
            )
        assert (made.labels == GLASSES).sum() > 60
    assert 6 < dark < 24


def test_glasses_change_nothing_below_them(scene: Scene) -> None:
    below = round(float(scene.mesh[13, 1]))
    for seed in SEEDS:
        made = occlusions.put_on_glasses(scene, random(seed))
        np.testing.assert_array_equal(made.pixels[below:], scene.pixels[below:])
        np.testing.assert_array_equal(made.labels[below:], scene.labels[below:])
        np.testing.assert_array_equal(made.mesh, scene.mesh)


# Colour and cloth


def test_recoloured_pictures_keep_their_shape_in_other_hues(scene: Scene) -> None:
    made = [occlusions.recolour(scene.pixels, random(seed)) for seed in range(20)]
    assert all(picture.dtype == np.uint8 and picture.shape == scene.pixels.shape for picture in made)
    assert np.std([picture.mean((0, 1)) for picture in made], axis=0).min() > 10
    flat = np.full((4, 4, 3), (90, 120, 200), np.uint8)
    assert np.ptp(occlusions.recolour(flat, random()).reshape(-1, 3), axis=0).max() == 0


def test_a_colour_is_a_usual_one_or_as_often_as_each_of_them_another(scene: Scene) -> None:
    usual = ((10, 20, 30), (200, 180, 160), (5, 5, 5))
    generator = random()
    drawn = [tuple(occlusions.draw_colour(usual, generator).tolist()) for _ in range(800)]
    for colour in usual:
        assert 140 < drawn.count(colour) < 260
    others = np.array([colour for colour in drawn if colour not in usual])
    assert 140 < len(others) < 260
    assert 0 <= others.min() < 20
    assert 235 < others.max() <= 255
    assert len(np.unique(others, axis=0)) == len(others)


def test_cloth_is_lit_as_the_scene_is(scene: Scene) -> None:
    lit = replace(scene, pixels=(scene.pixels * np.linspace(0.2, 1, SIDE)[None, :, None]).astype(np.uint8))
    cloth = occlusions.make_cloth(lit, np.array([150, 160, 170]), random()).astype(float)
    assert cloth.shape == scene.pixels.shape
    assert cloth[:, -20:].mean() > 1.3 * cloth[:, :20].mean()
    assert cloth.mean((0, 1))[0] < cloth.mean((0, 1))[1] < cloth.mean((0, 1))[2]


def test_softened_masks_keep_their_border(scene: Scene) -> None:
    disc = shapes.draw_disc(np.array([60.0, 60]), 20, SIDE) > 0
    soft = occlusions.soften(disc, 2.0)
    assert soft.dtype == np.float32
    assert ((soft > 0.5) != disc).mean() < 0.01
    assert soft[60, 60] == pytest.approx(1)
    assert 0.1 < soft[60, 82] < 0.4


@pytest.mark.parametrize(
    "put_on",
    [
        lambda scene, other, rng: occlusions.put_behind(scene, other, rng),
        lambda scene, other, rng: occlusions.put_on_thing(scene, other, "hat", rng),
        lambda scene, other, rng: occlusions.put_on_mask(scene, rng),
        lambda scene, other, rng: occlusions.put_on_shape(scene, other.pixels, rng),
        lambda scene, other, rng: occlusions.put_on_glasses(scene, rng),
    ],
    ids=["neighbour", "hat", "mask", "shape", "glasses"],
)
def test_the_generator_alone_decides_and_the_scene_stays(
    scene: Scene, hatted: Scene, put_on: Callable[[Scene, Scene, np.random.Generator], Scene]
) -> None:
    before = [(one.pixels.copy(), one.labels.copy(), one.person.copy()) for one in (scene, hatted)]
    first, again, other = (put_on(scene, hatted, random(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.pixels != other.pixels).any()
    assert first.labels.dtype == np.int8
    assert first.pixels.dtype == first.person.dtype == np.uint8
    for one, kept in zip((scene, hatted), before, strict=True):
        for now, then in zip((one.pixels, one.labels, one.person), kept, strict=True):
            np.testing.assert_array_equal(now, then)


# Headwear


def test_headwear_is_a_hat_and_leaves_the_face_free(scene: Scene) -> None:
    shares = []
    for seed in SEEDS:
        made = occlusions.put_on_headwear(scene, random(seed))
        assert (made.labels == HAT).sum() > 200
        features = geometry.grow(shapes.fill_polygon(scene.mesh[[133, 362, 13]], SIDE, SIDE) / np.float32(255), -2) > 0
        np.testing.assert_array_equal(made.labels[features], scene.labels[features])
        hair = scene.labels == CLASSES.index("hair")
        shares.append(float((made.labels[hair] == HAT).mean()))
    assert min(shares) < 0.7 < max(shares)  # under some, hair is seen


def test_headwear_comes_in_three_kinds(scene: Scene) -> None:
    """Scarves hide the neck, hoods do not, and caps have nothing below the eyes."""
    under_chin = scene.mesh[152] + np.array([0, 0.25]) * scene.unit_px
    x, y = np.rint(under_chin).astype(int)
    scarf = cap = hood = 0
    for seed in range(40):
        cloth = occlusions.draw_headwear(scene, random(seed))[1]
        is_cap = not cloth[round(scene.mesh[152, 1]) :].any()
        cap += is_cap
        scarf += bool(cloth[y, x])
        hood += not is_cap and not cloth[y, x]
    assert min(scarf, cap, hood) > 2
