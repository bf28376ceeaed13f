"""Photos and sweeps: names, and checks before the work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from reage.batch import (
    age_photo,
    age_sweep,
    check_photo,
    check_sweep,
    name_aged,
)
from reage.engines.none import NoOpEngine
from reage.errors import FaceNotFound, ImageError, PlanError
from reage.faces.finder import FaceFinder
from reage.images import Image, geometry, load_image, save_image
from reage.images.regions import to_pixels
from reage.measure import AgeEstimator
from reage.pipeline import Reager
from reage.types import GAIN_FLOOR, Aged, CompletePlan, Face, Gain, Pixels, Plan, Reading


class _Recorder(NoOpEngine):
    """Changes nothing, and records the ages it renders."""

    def __init__(self) -> None:
        self.ages_rendered: list[float] = []

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        self.ages_rendered.append(plan.age)
        return super().render(face, reading, plan)


@pytest.fixture(scope="module")
def age_estimator() -> AgeEstimator:
    return AgeEstimator.load()


@pytest.fixture
def reager(finder: FaceFinder, age_estimator: AgeEstimator) -> Reager:
    return Reager(_Recorder(), finder=finder, age_estimator=age_estimator)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photos/me.png in it."""
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    write(skimage.data.astronaut()[:256, 96:352], tmp_path / "photos" / "me.png")
    return tmp_path


def write(pixels: Pixels, path: Path) -> None:
    save_image(Image(pixels=np.ascontiguousarray(pixels)), path, altered=False)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"photos", "photos/me.png"}


# One photo


def test_a_photo_is_aged_under_its_default_name(reager: Reager, folder: Path) -> None:
    outcome = age_photo(reager, "photos/me.png", Plan(age=70))
    assert (outcome.source, outcome.output) == (Path("photos/me.png"), Path("me-70.png"))
    assert files_in(folder) == {"me-70.png"}
    values = json.loads(json.dumps(outcome.to_json()))
    assert (values["input"], values["output"], values["engine"]) == ("photos/me.png", "me-70.png", "none")
    assert values["faces"][0]["plan"]["age"] == 70


def test_pixels_without_a_file_are_aged_too(reager: Reager, folder: Path) -> None:
    picture = Image(pixels=load_image("photos/me.png").pixels)
    outcome = age_photo(reager, picture, Plan(zones={"all": 0.9}))
    assert outcome.to_json()["input"] is None
    assert files_in(folder) == {"picture-aged.png"}


@pytest.mark.parametrize("output", ["photos/me.png", "missing/me.png", "me.txt", "photos"])
def test_an_unusable_output_is_refused_before_the_work(reager: Reager, folder: Path, output: str) -> None:
    for attempt in (
        lambda: check_photo("photos/me.png", Plan(age=70), output),
        lambda: age_photo(reager, "photos/me.png", Plan(age=70), output),
    ):
        with pytest.raises(ImageError):
            attempt()
    assert reager.engine.ages_rendered == []  # type: ignore[attr-defined]
    assert files_in(folder) == set()


@pytest.mark.parametrize(
    ("source", "plan", "name"),
    [
        ("a/me.jpg", Plan(age=70), "me-70.jpg"),
        ("me.JPG", Plan(age=70.5), "me-70.5.JPG"),
        ("me.jxl", Plan(age=70), "me-70.png"),
        ("me", Plan(zones={"all": 0.5}), "me-aged.png"),
        ("ü" * 123 + ".jpg", Plan(age=70), "ü" * 123 + "-70.jpg"),
    ],
)
def test_names_of_aged_photos(source: str, plan: Plan, name: str) -> None:
    assert name_aged(Path(source), plan) == name


def test_names_that_would_be_too_long_are_shortened_and_stay_different(reager: Reager, folder: Path) -> None:
    names = ["ü" * 125 + f"{number}.png" for number in range(2)]
    aged = [name_aged(Path(name), Plan(age=70)) for name in names]
    assert len(set(aged)) == 2
    for name, short in zip(names, aged, strict=True):
        assert len(short.encode()) <= 255
        assert short.startswith("ü" * 110)
        assert short.endswith("-70.png")
        write(load_image("photos/me.png").pixels, Path("photos", name))
        assert age_photo(reager, Path("photos", name), Plan(age=70)).output == Path(short)
    outputs = check_sweep(Path("photos", names[0]), Plan(age=70), (30, 50))
    assert len({path.name for path in (outputs.strip, *outputs.photos)}) == 3


# Layers of one photo


class _Multiplier(NoOpEngine):
    """Moves the shape a little, and multiplies skin and hair."""

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        shift = np.repeat(face.matte[..., None] * np.float32(4), 2, -1)
        change = (face.skin + face.hair)[..., None] * np.array([-0.3, 0.2, 0.1], np.float32)
        return Aged(crop=face.crop, shift=shift, gains=(Gain(change), Gain(change[::2, ::2], 1.5)))


class _Adder(NoOpEngine):
    """Moves the shape a little, and adds to skin and hair."""

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        shift = np.repeat(face.matte[..., None] * np.float32(4), 2, -1)
        added = (face.skin + face.hair)[..., None] * np.array([-30, 20, 10], np.float32)
        return Aged(crop=to_pixels(geometry.shift_pixels(face.crop, shift) + added), shift=shift)


def read_layer(path: Path) -> np.ndarray:
    """Values as OpenCV reads them, in the order RGB."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return values if values.ndim == 2 else values[..., ::-1]


def join(folder: Path, photo: Pixels) -> Pixels:
    """The picture by the formula of the README.txt in the folder."""
    moved = (read_layer(folder / "moved.png") / 257).astype(np.float32)
    gain, added = read_layer(folder / "gain.tiff"), read_layer(folder / "added.tiff")
    floor = np.float32(255 * GAIN_FLOOR)
    aged = np.clip(np.rint((moved + floor) * np.exp(gain) - floor + added), 0, 255)
    mask = read_layer(folder / "mask.png")[..., None] / 65535
    return np.rint(photo + (aged - photo) * mask).astype(np.uint8)


@pytest.mark.parametrize("engine", ["multiplies", "adds"])
@pytest.mark.parametrize("masked", [True, False])
def test_the_files_of_the_layers_give_the_result_bit_for_bit(
    finder: FaceFinder, age_estimator: AgeEstimator, folder: Path, engine: str, masked: bool
) -> None:
    person = skimage.data.astronaut()[:256, 96:352]
    write(np.hstack([person[:, :170], person]), folder / "photos" / "pair.png")
    photo = load_image("photos/pair.png").pixels
    mask = np.linspace(1, 0, photo.shape[1], dtype=np.float32).clip(0.1, 0.7) * np.ones((256, 1), np.float32)
    own = _Multiplier() if engine == "multiplies" else _Adder()
    reager = Reager(own, finder=finder, age_estimator=age_estimator)
    outcome = age_photo(
        reager, "photos/pair.png", Plan(age=75), "pair.png", mask=mask if masked else None, layers="layers"
    )
    assert outcome.result is not None
    assert len(outcome.result.faces) == 2
    assert outcome.to_json()["layers"] == "layers"
    saved = load_image("pair.png").pixels
    assert (saved != photo).mean() > 0.05
    np.testing.assert_array_equal(join(Path("layers"), photo), saved)
    for name in ("skin.png", "hair.png"):
        matte = read_layer(Path("layers", name))
        assert (matte.dtype, matte.shape) == (np.uint16, photo.shape[:2])
        assert matte.max() > 60_000
    assert (read_layer(Path("layers/gain.tiff")) != 0).any() == (engine == "multiplies")


def test_layers_without_a_result_are_not_written(reager: Reager, folder: Path) -> None:
    with pytest.raises(FaceNotFound):
        age_photo(reager, "photos/me.png", Plan(age=70), faces=9, layers="layers")
    with pytest.raises(ImageError, match="overwritten"):
        age_photo(reager, "photos/me.png", Plan(age=70), "photos/skin.png", layers="photos")
    assert files_in(folder) == set()


# Sweeps


def test_a_sweep_measures_once_and_writes_all(reager: Reager, folder: Path) -> None:
    plan = Plan(age=1, seed=3, strength=0.5)
    outputs = check_sweep("photos/me.png", plan, (30, 50.5))
    outcome = age_sweep(reager, "photos/me.png", plan, (30, 50.5))
    assert (outputs.strip, outputs.photos) == (Path("me-30-50.5.png"), (Path("me-30.png"), Path("me-50.5.png")))
    assert files_in(folder) == {"me-30-50.5.png", "me-30.png", "me-50.5.png"}
    assert reager.engine.ages_rendered == [30, 50.5]  # type: ignore[attr-defined]
    first, second = (photo.result for photo in outcome.photos)
    assert first is not None
    assert second is not None
    assert first.faces[0].reading is second.faces[0].reading
    assert (second.faces[0].plan.seed, second.faces[0].plan.strength) == (3, 0.5)
    values = json.loads(json.dumps(outcome.to_json()))
    assert (values["input"], values["output"]) == ("photos/me.png", "me-30-50.5.png")
    assert [photo["output"] for photo in values["pictures"]] == ["me-30.png", "me-50.5.png"]
    assert all("input" not in photo for photo in values["pictures"])


def test_a_sweep_that_fails_writes_nothing(reager: Reager, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        if plan.age > 40:
            raise KeyboardInterrupt
        return Aged(crop=face.crop)

    monkeypatch.setattr(reager.engine, "render", fail)
    with pytest.raises(KeyboardInterrupt):
        age_sweep(reager, "photos/me.png", Plan(age=30), (30, 50))
    assert files_in(folder) == set()


@pytest.mark.parametrize(
    ("ages", "output", "error"),
    [
        ((30, 70), "me-70.png", ImageError),
        ((30, 70), "missing/strip.png", ImageError),
        ((30, 70), ".", ImageError),
        ((30, 101), "strip.png", PlanError),
    ],
)
def test_unusable_sweeps_are_refused(folder: Path, ages: Sequence[float], output: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_sweep("photos/me.png", Plan(age=30), ages, output)


def test_a_sweep_of_two_faces_draws_two_rows(reager: Reager, folder: Path) -> None:
    person = load_image("photos/me.png").pixels
    smaller = np.full_like(person, person[0, 0])
    smaller[20:220, 20:220] = geometry.resize(person, 200, 200)
    picture = Image(pixels=np.hstack([person, smaller]))
    age_sweep(reager, picture, Plan(age=30), (30, 70), "two.png")
    age_sweep(reager, picture, Plan(age=30), (30, 70), "one.png", faces="largest")
    assert load_image("two.png").pixels.shape[0] > 2 * 256
    assert load_image("one.png").pixels.shape[0] < 2 * 512
    with pytest.raises(FaceNotFound):
        age_sweep(reager, picture, Plan(age=30), (30, 70), "three.png", faces=3)
    assert not Path("three.png").exists()


# Ages that an engine clips
