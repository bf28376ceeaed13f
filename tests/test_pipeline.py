"""Reager and its results, on the demo photo."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reage
from reage.engines import DEFAULT_ENGINE, load_engine
from reage.engines.none import NoOpEngine
from reage.errors import EngineError, FaceNotFound, ImageError
from reage.faces.finder import FaceFinder
from reage.faces.geometry import zone_masks
from reage.faces.zone_scorer import ZoneScorer
from reage.images import Image, geometry, load_image, save_image
from reage.measure import AgeEstimator, measure_face
from reage.pipeline import Reager, Result, as_image, describe_clipped_ages, render
from reage.plan import complete
from reage.types import Aged, CompletePlan, Face, Pixels, Plan, Reading
from reage.zones import zone_age

STEPS = {"load", "find", "measure", "render", "composite"}
NOTE = b"compositeWithTrainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def age_estimator() -> AgeEstimator:
    return AgeEstimator.load()


@pytest.fixture(scope="module")
def reager(finder: FaceFinder, age_estimator: AgeEstimator) -> Reager:
    """With an engine that accepts only ages, so that zones are made by masks."""
    return Reager("agetransgan", finder=finder, age_estimator=age_estimator)


@pytest.fixture(scope="module")
def no_change(finder: FaceFinder, age_estimator: AgeEstimator) -> Reager:
    return Reager("none", finder=finder, age_estimator=age_estimator)


@pytest.fixture(scope="module")
def aged(reager: Reager, photo: Pixels, face: Face, reading: Reading) -> Result:
    return reager(photo, Plan(age=75), faces=[face], readings=[reading])


@pytest.fixture(scope="module")
def pair(photo: Pixels) -> Pixels:
    """(256, 512, 3) the same person twice, larger on the left."""
    person = photo[:256, 96:352]
    smaller = np.full_like(person, person[0, 0])
    smaller[28:228, 28:228] = geometry.resize(person, 200, 200)
    return np.ascontiguousarray(np.hstack([person, smaller]))


@pytest.fixture(scope="module")
def pair_faces(reager: Reager, pair: Pixels) -> list[Face]:
    return reager.find(pair)


def changed(first: Pixels, second: Pixels) -> np.ndarray:
    return (first != second).any(-1)


def reach_of(face: Face, mask: np.ndarray, pixels: Pixels, rim: float) -> np.ndarray:
    """(H, W) where a mask of the crop lies in the picture, with a rim."""
    matrix = geometry.invert(face.crop_from_image)
    placed = geometry.warp(mask.astype(np.float32), matrix, *pixels.shape[:2], edge="zero")
    return geometry.grow((placed > 0.004).astype(np.float32), rim) > 0


# One call


def test_one_call_ages_a_file(photo: Pixels, tmp_path: Path) -> None:
    save_image(Image(pixels=np.ascontiguousarray(photo[:256, 96:352])), tmp_path / "me.png", altered=False)
    result = reage.reage(tmp_path / "me.png", age=75)
    assert result.engine == DEFAULT_ENGINE
    assert result.faces[0].plan.age == 75
    source = load_image(tmp_path / "me.png").pixels
    difference = np.abs(result.image.pixels.astype(int) - source).max(-1)
    assert difference[80:160, 90:165].mean() > 4
    assert difference[230:].max() == 0


def test_one_call_takes_everything_that_a_plan_does(photo: Pixels) -> None:
    result = reage.reage(photo, age=60, zones={"forehead": 0.2}, strength=0.5, engine="none", faces="largest")
    plan = result.faces[0].plan
    assert (plan.age, dict(plan.zones), plan.strength, result.engine) == (60, {"forehead": 0.2}, 0.5, "none")


def test_file_pixels_and_image_give_the_same_result(
    reager: Reager, photo: Pixels, face: Face, reading: Reading, aged: Result, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    save_image(Image(pixels=photo), path, altered=False)
    for image in (path, str(path), load_image(path), Image(pixels=photo)):
        result = reager(image, Plan(age=75), faces=[face], readings=[reading])
        np.testing.assert_array_equal(result.image.pixels, aged.image.pixels)


def test_pixels_of_any_layout_are_an_image(photo: Pixels) -> None:
    np.testing.assert_array_equal(as_image(photo[::2, ::-1]).pixels, photo[::2, ::-1])


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3), np.float32),
        np.zeros((0, 40, 3), np.uint8),
        None,
    ],
    ids=["grey", "with alpha", "float", "empty", "nothing"],
)
def test_other_pixels_are_refused_in_a_sentence(pixels: Pixels) -> None:
    with pytest.raises(ImageError, match=r"\.$"):
        as_image(pixels)


# What changes


def test_the_engine_none_returns_every_pixel(no_change: Reager, photo: Pixels, face: Face) -> None:
    for plan in (Plan(age=75), Plan(age=20, zones={"upper": 0.9}), Plan(zones={"all": 1})):
        result = no_change(photo, plan, faces=[face])
        np.testing.assert_array_equal(result.image.pixels, photo)
    assert result.weights_hash == ""


def test_own_age_returns_every_pixel(reager: Reager, photo: Pixels, face: Face, reading: Reading) -> None:
    result = reager(photo, Plan(age=reading.age_years), faces=[face], readings=[reading])
    np.testing.assert_array_equal(result.image.pixels, photo)


def test_input_is_untouched(reager: Reager, photo: Pixels, face: Face, reading: Reading) -> None:
    pixels = photo.copy()
    image = Image(pixels=pixels)
    reager(image, Plan(age=75), faces=[face], readings=[reading])
    np.testing.assert_array_equal(pixels, photo)


def test_same_plan_same_pixels(reager: Reager, photo: Pixels, face: Face, reading: Reading, aged: Result) -> None:
    again = reager(photo, Plan(age=75), faces=[face], readings=[reading])
    np.testing.assert_array_equal(again.image.pixels, aged.image.pixels)


def test_zones_alone_change_only_what_lies_near_them(
    reager: Reager, photo: Pixels, face: Face, reading: Reading
) -> None:
    result = reager(photo, Plan(zones={"nasolabial": 0.95}), faces=[face], readings=[reading])
    masks = zone_masks(face)
    near = reach_of(face, masks["nasolabial.left"] + masks["nasolabial.right"], photo, rim=3)
    found = changed(result.image.pixels, photo)
    assert found.sum() > 300
    assert not (found & ~near).any()
    assert near.mean() < 0.02


def test_one_side_leaves_the_other_alone(reager: Reager, photo: Pixels, face: Face, reading: Reading) -> None:
    crop = reager(photo, Plan(zones={"crows_feet.left": 1.0}), faces=[face], readings=[reading]).faces[0].aged.crop
    found = changed(crop, face.crop)
    assert found[:, :256].sum() > 1000
    assert not found[:, 256:].any()


def test_a_zone_looks_like_its_age(reager: Reager, face: Face, reading: Reading) -> None:
    """In the middle of the zone there is what the engine makes of the whole face at the zone's age."""
    plan = CompletePlan(age=reading.age_years, age_from=reading.age_years, zones={"under_eye": 0.6})
    zoned = render(reager.engine, face, reading, plan)
    whole = render(
        reager.engine, face, reading, CompletePlan(age=zone_age("under_eye.left", 0.6), age_from=reading.age_years)
    )
    masks = zone_masks(face)
    inside = masks["under_eye.left"] + masks["under_eye.right"] > 0.999
    assert inside.mean() > 0.005
    np.testing.assert_allclose(zoned.crop[inside], whole.crop[inside], atol=1)


def test_zones_and_age_act_together(reager: Reager, face: Face, reading: Reading) -> None:
    """Away from the zones there is the target age, in the middle of each its own."""
    own = reading.age_years
    mixed = render(reager.engine, face, reading, CompletePlan(age=25, age_from=own, zones={"under_eye": 0.6}))
    ages = (25, zone_age("under_eye.left", 0.6))
    young, old = (render(reager.engine, face, reading, CompletePlan(age=age, age_from=own)) for age in ages)
    masks = zone_masks(face)
    total = masks["under_eye.left"] + masks["under_eye.right"]
    for where, whole in ((total == 0, young), (total > 0.999, old)):
        assert (whole.crop != face.crop)[where].any()
        np.testing.assert_allclose(mixed.crop[where], whole.crop[where], atol=1)


def test_zones_that_look_their_age_change_nothing(reager: Reager, face: Face) -> None:
    reading = Reading(age_years=zone_age("lip_corners.left", 0.4), age_std_years=4, masculinity=0.1)
    plan = CompletePlan(age=reading.age_years, age_from=reading.age_years, zones={"lip_corners": 0.4})
    np.testing.assert_array_equal(render(reager.engine, face, reading, plan).crop, face.crop)


class _ZoneEngine(NoOpEngine):
    """Is zone-driven, and records the plans it gets."""

    zone_driven = True

    def __init__(self) -> None:
        self.plans: list[CompletePlan] = []

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        self.plans.append(plan)
        return super().render(face, reading, plan)


def test_zone_driven_engines_get_a_score_for_every_zone_that_shows(
    finder: FaceFinder, photo: Pixels, face: Face
) -> None:
    engine = _ZoneEngine()
    reager = Reager(engine, finder=finder)
    reager(photo, Plan(age=75, zones={"upper_lip": 0.1}), faces=[face])
    scores = ZoneScorer.load().measure(face)
    reading = measure_face(face, reager.age_estimator, reager.zone_scorer)
    assert reading == replace(reager.age_estimator.measure(face), zones=scores)
    assert reager.measure(face) == reading
    assert engine.plans == [complete(Plan(age=75, zones={"upper_lip": 0.1}), reading)]
    assert set(engine.plans[0].zones) == set(scores) | {"upper_lip"}
    assert engine.plans[0].zones["upper_lip"] == 0.1


def test_other_engines_get_only_the_zones_of_the_plan(
    no_change: Reager, photo: Pixels, face: Face, reading: Reading
) -> None:
    plan = no_change(photo, Plan(age=75, zones={"upper_lip": 0.1}), faces=[face], readings=[reading]).faces[0].plan
    assert plan.zones == {"upper_lip": 0.1}
    assert "zone_scorer" not in vars(no_change)


# Which faces


def test_only_chosen_faces_are_aged(reager: Reager, pair: Pixels, pair_faces: list[Face], reading: Reading) -> None:
    assert len(pair_faces) == 2
    both = reager(pair, Plan(age=75), faces=pair_faces, readings=[reading] * 2).image.pixels
    assert changed(both, pair)[:, :256].any()
    assert changed(both, pair)[:, 256:].any()
    only = reager(pair, Plan(age=75), faces=pair_faces[1:], readings=[reading]).image.pixels
    np.testing.assert_array_equal(only[:, :256], pair[:, :256])
    np.testing.assert_array_equal(only[:, 256:], both[:, 256:])


@pytest.mark.parametrize(
    ("which", "left", "right"), [("largest", True, False), (2, False, True), ("all", True, True), ((2, 1), True, True)]
)
def test_faces_go_by_name_and_number(
    reager: Reager, pair: Pixels, which: str | int | tuple[int, ...], left: bool, right: bool
) -> None:
    result = reager(pair, Plan(age=75), faces=which)
    found = changed(result.image.pixels, pair)
    assert (found[:, :256].any(), found[:, 256:].any()) == (left, right)
    assert len(result.faces) == left + right


def test_a_face_that_is_not_there_is_refused(no_change: Reager, pair: Pixels, photo: Pixels) -> None:
    with pytest.raises(FaceNotFound, match="1 to 2"):
        no_change(pair, Plan(age=75), faces=3)
    with pytest.raises(FaceNotFound, match="No face"):
        no_change(np.ascontiguousarray(photo[300:]), Plan(age=75))


def test_a_face_by_hand_is_aged(reager: Reager, no_change: Reager, pair: Pixels, pair_faces: list[Face]) -> None:
    by_hand = reager.find_in_box(pair, pair_faces[1].box)
    np.testing.assert_allclose(by_hand.landmarks, pair_faces[1].landmarks, atol=1)
    np.testing.assert_array_equal(no_change.find_in_box(Image(pixels=pair), pair_faces[1].box).mesh, by_hand.mesh)
    result = reager(pair, Plan(age=75), faces=[by_hand])
    assert not changed(result.image.pixels, pair)[:, :256].any()
    assert changed(result.image.pixels, pair)[:, 256:].any()
    with pytest.raises(FaceNotFound, match="shows no face"):
        reager.find_in_box(pair, (0, 180, 70, 250))


# Masks


def test_a_mask_keeps_the_photo_bit_for_bit(
    reager: Reager, photo: Pixels, face: Face, reading: Reading, aged: Result
) -> None:
    mask = np.zeros(photo.shape[:2], np.float32)
    mask[:, :230], mask[:, 230:240] = 1, 0.5
    result = reager(photo, Plan(age=75), faces=[face], readings=[reading], mask=mask)
    np.testing.assert_array_equal(result.image.pixels[:, 240:], photo[:, 240:])
    np.testing.assert_array_equal(result.image.pixels[:, :230], aged.image.pixels[:, :230])
    assert changed(photo, aged.image.pixels)[:, 240:].any()
    mean = 0.5 * photo[:, 230:240] + 0.5 * aged.image.pixels[:, 230:240]
    assert np.abs(result.image.pixels[:, 230:240] - mean).max() <= 0.5
    assert set(result.seconds) == STEPS


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((512, 511), np.float32),
        np.ones((512, 512), np.uint8),
        np.full((512, 512), 1.5),
        np.full((512, 512), np.nan),
    ],
    ids=["size", "integers", "above 1", "not a number"],
)
def test_a_mask_that_does_not_fit_is_refused(no_change: Reager, photo: Pixels, mask: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"^The mask .*\(512, 512\) \(height, width\)\.$"):
        no_change(photo, Plan(age=75), mask=mask)


# Readings


def test_given_readings_are_used(reager: Reager, photo: Pixels, face: Face) -> None:
    young = Reading(age_years=25, age_std_years=1, masculinity=0.0)
    result = reager(photo, Plan(age=40), faces=[face], readings=[young])
    assert result.faces[0].reading is young
    assert result.faces[0].plan.age_from == 25
    old = reager(photo, Plan(age=40), faces=[face], readings=[replace(young, age_years=70)])
    assert changed(old.image.pixels, result.image.pixels).any()


def test_missing_readings_are_measured(
    no_change: Reager, photo: Pixels, face: Face, age_estimator: AgeEstimator
) -> None:
    result = no_change(photo, Plan(age=40), faces=[face])
    assert result.faces[0].reading == age_estimator.measure(face)
    assert result.faces[0].plan.age_from == result.faces[0].reading.age_years


# Result


def test_seconds_list_every_step(no_change: Reager, pair: Pixels) -> None:
    seconds = no_change(pair, Plan(age=75)).seconds
    assert set(seconds) == STEPS
    assert all(value >= 0 for value in seconds.values())
    assert seconds["find"] > 0


def test_results_are_json(aged: Result, face: Face, reading: Reading) -> None:
    values = json.loads(json.dumps(aged.to_json()))
    assert values["engine"] == "agetransgan"
    assert values["weights_hash"] == load_engine("agetransgan").weights_hash
    assert set(values["seconds"]) == STEPS
    (entry,) = values["faces"]
    assert entry["age_years"] == pytest.approx(reading.age_years, abs=0.05)
    assert entry["box"] == pytest.approx(face.box, abs=0.05)
    assert CompletePlan(**entry["plan"]) == aged.faces[0].plan == CompletePlan(age=75, age_from=reading.age_years)


def test_doubts_are_those_of_the_reading_where_no_age_was_given(no_change: Reager, photo: Pixels, face: Face) -> None:
    unsure = Reading(age_years=40, age_std_years=12, masculinity=0.1)
    for plan, doubts in ((Plan(age=75), ("read within 12 years only",)), (Plan(age=75, age_from=44), ())):
        result = no_change(photo, plan, faces=[face], readings=[unsure])
        assert result.faces[0].doubts == doubts
        assert result.to_json()["faces"][0]["doubts"] == list(doubts)
    sure = no_change(photo, Plan(zones={"forehead": 0.5}), faces=[face], readings=[replace(unsure, age_std_years=4)])
    assert sure.faces[0].doubts == ()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_saved_picture_says_that_it_was_altered(aged: Result, tmp_path: Path, suffix: str) -> None:
    path = aged.save(tmp_path / f"old{suffix}")
    assert path == tmp_path / f"old{suffix}"
    saved = load_image(path)
    assert NOTE in (saved.xmp or b"")
    assert np.abs(saved.pixels.astype(int) - aged.image.pixels).mean() < 3


def test_unchanged_picture_does_not_say_so(no_change: Reager, photo: Pixels, face: Face, tmp_path: Path) -> None:
    saved = load_image(no_change(photo, Plan(age=75), faces=[face]).save(tmp_path / "same.png"))
    assert NOTE not in (saved.xmp or b"")


def test_source_is_never_overwritten(no_change: Reager, photo: Pixels, face: Face, tmp_path: Path) -> None:
    path = tmp_path / "me.png"
    save_image(Image(pixels=photo), path, altered=False)
    before = path.read_bytes()
    with pytest.raises(ImageError):
        no_change(path, Plan(age=75), faces=[face]).save(path)
    assert path.read_bytes() == before


def test_alpha_is_kept(reager: Reager, photo: Pixels, face: Face, reading: Reading, tmp_path: Path) -> None:
    alpha = np.tile(np.arange(512) // 2, (512, 1)).astype(np.uint8)
    result = reager(Image(pixels=photo, alpha=alpha), Plan(age=75), faces=[face], readings=[reading])
    np.testing.assert_array_equal(load_image(result.save(tmp_path / "old.png")).alpha, alpha)


def test_unknown_engine_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(EngineError, match="'magic'"):
        Reager("magic")


# References


def test_references_change_the_face_that_they_show(
    finder: FaceFinder, age_estimator: AgeEstimator, photo: Pixels, face: Face, reading: Reading, tmp_path: Path
) -> None:
    young = tmp_path / "young.png"
    save_image(Image(pixels=np.ascontiguousarray(photo[:256, 96:352][:, ::-1])), young, altered=False)
    exemplar = Reager("exemplar", finder=finder, age_estimator=age_estimator)
    scored = exemplar.measure(face)
    given = {"faces": [face], "readings": [replace(reading, zones=scored.zones)]}
    without = exemplar(photo, Plan(age=25), **given)
    result = exemplar(photo, Plan(age=25), **given, references=[young])
    assert changed(result.image.pixels, without.image.pixels).any()
    (done,) = result.faces
    assert [one.file for one in done.references] == [young]
    assert result.to_json()["faces"][0]["references"][0]["used"] is True
    assert "references" not in without.to_json()["faces"][0]
    read = exemplar.read_references([young])
    again = exemplar(photo, Plan(age=25), **given, references=read)
    np.testing.assert_array_equal(again.image.pixels, result.image.pixels)


def test_an_engine_without_references_refuses_them(reager: Reager, photo: Pixels, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="'agetransgan' accepts no references; use --engine exemplar"):
        reager(photo, Plan(age=25), references=[tmp_path])


# More than 8 bits, several frames, ages beyond the engine


def test_a_deep_picture_is_aged_in_its_own_bit_depth(
    reager: Reager, photo: Pixels, face: Face, reading: Reading
) -> None:
    rest = np.random.default_rng(0).integers(0, 200, photo.shape).astype(np.uint16)
    deep = photo * np.uint16(256) + rest
    result = reager(Image(pixels=photo, deep=deep), Plan(age=75), faces=[face], readings=[reading])
    shallow = reager(photo, Plan(age=75), faces=[face], readings=[reading])
    assert result.image.deep is not None
    assert result.image.deep.dtype == np.uint16
    far = np.abs(result.image.pixels.astype(int) - shallow.image.pixels)
    assert np.percentile(far, 99) <= 2
    changed = result.image.deep != deep
    assert 0.01 < changed.mean() < 0.9
    outside = (shallow.image.pixels == photo).all(-1) & ~changed.any(-1)
    np.testing.assert_array_equal(result.image.deep[outside], deep[outside])


@pytest.fixture(scope="module")
def animation(photo: Pixels) -> Image:
    """Three frames: the demo photo, the same a little darker, and one without a face."""
    small = np.ascontiguousarray(photo[:256, 96:352])
    frames = [small, (small * 0.9).astype(np.uint8), np.full_like(small, 90)]
    first, *others = [Image(pixels=frame, duration_ms=80) for frame in frames]
    return replace(first, more=tuple(others), loop=0)


def test_all_frames_are_aged_by_one_plan(reager: Reager, animation: Image, tmp_path: Path) -> None:
    result = reager(animation, Plan(age=75))
    assert [done.frame for done in result.faces] == [1, 2]
    assert result.faces[0].reading == result.faces[1].reading
    assert result.faces[0].plan == result.faces[1].plan
    before, after = animation.frames, result.image.frames
    assert [bool((a.pixels != b.pixels).any()) for a, b in zip(before, after, strict=True)] == [True, True, False]
    result.save(tmp_path / "a.png")
    back = load_image(tmp_path / "a.png", frame=None)
    assert [frame.duration_ms for frame in back.frames] == [80, 80, 80]
    assert NOTE in (back.xmp or b"")
    assert [face["frame"] for face in json.loads(json.dumps(result.to_json()))["faces"]] == [1, 2]


def test_pages_are_measured_each(reager: Reager, animation: Image) -> None:
    pages = replace(animation, duration_ms=None, more=tuple(replace(one, duration_ms=None) for one in animation.more))
    first, second = reager(pages, Plan(age=75)).faces
    assert first.reading != second.reading


def test_frames_without_any_face_are_refused_and_so_are_given_faces(no_change: Reager, face: Face) -> None:
    blank = Image(pixels=np.full((64, 64, 3), 90, np.uint8), duration_ms=80)
    with pytest.raises(FaceNotFound):
        no_change(replace(blank, more=(blank, blank)), Plan(age=75))
    with pytest.raises(ImageError, match="3 pages or frames; choose one of them with --frame"):
        no_change(replace(blank, more=(blank, blank)), Plan(age=75), faces=[face])


def test_an_age_beyond_the_engine_is_clipped_and_noted(
    reager: Reager, photo: Pixels, face: Face, reading: Reading
) -> None:
    result = reager(photo, Plan(age=95), faces=[face], readings=[reading])
    nearest = reager(photo, Plan(age=90), faces=[face], readings=[reading])
    np.testing.assert_array_equal(result.image.pixels, nearest.image.pixels)
    assert result.faces[0].plan.age == 90
    assert result.to_json()["notes"] == [
        "The engine 'agetransgan' was made for ages 1 to 90; instead of 95 it uses 90."
    ]
    assert nearest.notes == ()
    assert result.to_json()["faces"][0]["plan"]["age"] == 90


def test_notes_of_the_picture_are_those_of_the_result(no_change: Reager, photo: Pixels, face: Face) -> None:
    image = Image(pixels=photo, notes=("The file is cut short.",))
    assert no_change(image, Plan(age=75), faces=[face]).notes == ("The file is cut short.",)


def test_clipped_ages_are_described() -> None:
    engine = load_engine("none")
    assert describe_clipped_ages(engine, (1, 50, 100, None)) == ""
    engine.ages = (20.0, 80.0)
    text = describe_clipped_ages(engine, (1, 50, 95.5))
    assert text == "The engine 'none' was made for ages 20 to 80; instead of 1, 95.5 it uses 20, 80."
