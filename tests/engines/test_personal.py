"""The `personal` engine on a tiny base with random weights: the properties that hold for any weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.engines.personal import REDRAWN, PersonalEngine
from reage.errors import WeightsError
from reage.faces.geometry import zone_masks
from reage.images import Image, load_image, save_image
from reage.nets.diffusion import load_base
from reage.nets.dreambooth import Person, add_token, save_person
from reage.nets.lora import add_lora
from reage.pipeline import Reager
from reage.types import OLDEST_TARGET, YOUNGEST_TARGET, CompletePlan, Face, Pixels, Plan, Reading
from tests.cli.commands import call

QUICK = replace(REDRAWN, num_inference_steps=2, guidance_scale=15.0)
READING = Reading(age_years=40.0, age_std_years=4.0, masculinity=0.5)


@pytest.fixture(scope="module")
def base(save_tiny_base: Callable[..., Path]) -> Path:
    return save_tiny_base(gain=1.5)  # so that a prompt changes the 8-bit pixels


@pytest.fixture(scope="module")
def mia(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a person, with random matrices."""
    loaded = load_base(base)
    add_token(loaded, "sks")
    add_lora(loaded, 2, text_encoder=True)
    torch.manual_seed(1)
    for part in (loaded.unet, loaded.text_encoder):
        for name, weight in part.named_parameters():
            if "lora_B" in name:
                weight.data.add_(0.1 * torch.randn_like(weight))
    person = Person(token="sks", class_word="person", identity=np.zeros(128, np.float32), lora_rank=2)
    path = tmp_path_factory.mktemp("persons") / "mia.safetensors"
    save_person(path, loaded, person)
    return path


@pytest.fixture(scope="module")
def engine(mia: Path) -> PersonalEngine:
    return PersonalEngine.load(mia, config=QUICK)


@pytest.fixture(scope="module")
def small_face(face: Face, cut_face: Callable[..., Face]) -> Face:
    """The demo face in a crop of 192 px."""
    eyes = face.landmarks[:4].mean(0)
    return cut_face(face.crop, tuple(face.to_crop(eyes[None])[0]), len(face.crop) / 4.2, side_px=192)


def make_plan(age: float = 75.0, **zones: float) -> CompletePlan:
    return CompletePlan(age=age, age_from=40.0, zones=zones)


def change_of(engine: PersonalEngine, face: Face, plan: CompletePlan) -> np.ndarray:
    return np.abs(engine.render(face, READING, plan).crop.astype(int) - face.crop).max(-1)


def test_the_engine_describes_itself(engine: PersonalEngine) -> None:
    assert engine.accepts == {"age", "zones", "person"}
    assert 10 < len(engine.summary) < 100
    assert YOUNGEST_TARGET <= engine.ages[0] < engine.ages[1] <= OLDEST_TARGET
    assert len(engine.weights_hash) == 12
    assert PersonalEngine.ages == engine.ages


def test_the_face_changes_and_what_may_not_change_does_not(engine: PersonalEngine, small_face: Face) -> None:
    before = small_face.crop.copy()
    changed = change_of(engine, small_face, make_plan())
    assert (changed[small_face.matte > 0.9] > 0).mean() > 0.2
    assert not changed[small_face.matte == 0].any()
    np.testing.assert_array_equal(small_face.crop, before)


def test_own_age_and_no_strength_are_the_crop_bit_for_bit(engine: PersonalEngine, small_face: Face) -> None:
    for plan in (make_plan(age=40.0), replace(make_plan(), strength=0.0), CompletePlan(age=95.0, age_from=85.0)):
        np.testing.assert_array_equal(engine.render(small_face, READING, plan).crop, small_face.crop)


def test_more_strength_changes_more(engine: PersonalEngine, small_face: Face) -> None:
    weak, usual, strong = (
        change_of(engine, small_face, replace(make_plan(), strength=much)).mean() for much in (0.5, 1.0, 1.5)
    )
    assert 0 < weak < usual < strong


def test_ages_beyond_are_brought_to_the_nearer_one(engine: PersonalEngine, small_face: Face) -> None:
    for beyond, nearest in ((1.0, engine.ages[0]), (100.0, engine.ages[1])):
        far, near = (engine.render(small_face, READING, make_plan(age=age)).crop for age in (beyond, nearest))
        np.testing.assert_array_equal(far, near)


def test_a_zone_of_another_age_changes_by_itself(engine: PersonalEngine, small_face: Face) -> None:
    changed = change_of(engine, small_face, make_plan(age=40.0, forehead=1.0))
    mask = zone_masks(small_face)["forehead"]
    assert (changed[mask > 0.9] > 0).mean() > 0.2
    assert not changed[mask == 0].any()


def test_the_seed_decides(engine: PersonalEngine, small_face: Face) -> None:
    first, again, other = (
        engine.render(small_face, READING, replace(make_plan(), seed=seed)).crop for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_grey_stays_grey(engine: PersonalEngine, small_face: Face) -> None:
    grey = replace(small_face, crop=np.repeat(small_face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8))
    aged = engine.render(grey, READING, make_plan()).crop.astype(int)
    assert np.ptp(aged, axis=-1).max() == 0
    assert (aged != grey.crop).any()


def test_prompts_between_two_age_groups_are_interpolated(engine: PersonalEngine) -> None:
    with torch.inference_mode():
        middle = engine.base.embed([engine.person.prompt("middleaged"), engine.person.prompt("elderly")])
        found = engine.embed_ages([46.0, 63.0, (46.0 + 63.0) / 2, 80.0])
        torch.testing.assert_close(found[:2], middle)
        torch.testing.assert_close(found[2], middle.mean(0))
        torch.testing.assert_close(found[3:], engine.base.embed([engine.person.prompt("old")]))


def test_a_person_is_needed(base: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="needs the file of a person; make one with reage personalize"):
        PersonalEngine.load()
    with pytest.raises(WeightsError, match="no weights file"):
        PersonalEngine.load(tmp_path / "nobody.safetensors")


# As people use it


def test_a_whole_photo_keeps_its_background(engine: PersonalEngine, photo: Pixels) -> None:
    result = Reager(engine)(photo, Plan(age=75, age_from=38))
    changed = np.abs(result.image.pixels.astype(int) - photo).max(-1)
    assert changed[90:160, 190:260].mean() > 0.1
    assert not changed[:, :90].any()
    assert not changed[300:].any()


def test_reage_age_takes_a_person(mia: Path, photo: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(Image(pixels=photo[:256, 96:352].copy()), "me.png", altered=False)
    options = "--engine", "personal", "--person", mia, "--to", 70, "--steps", 2, "--noise-strength", 0.6, "--json"
    done = call("age", "me.png", *options)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["engine"] == "personal"
    assert (load_image("me-70.png").pixels != load_image("me.png").pixels).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "personal"), "add --person FILE"),
        (("--engine", "personal", "--weights", "x.safetensors"), "add --person FILE"),
        (("--engine", "amgan", "--person", "x.safetensors"), "use --engine personal"),
        (("--engine", "personal", "--person", "x.safetensors"), "no weights file"),
        (("--engine", "amgan", "--guidance-scale", "3"), "has no --guidance-scale; use --engine ldla, or personal"),
    ],
)
def test_unusable_options_are_refused(
    options: tuple[str, ...], words: str, photo: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(Image(pixels=photo), "me.png", altered=False)
    done = call("age", "me.png", "--to", 70, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]
