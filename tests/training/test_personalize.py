"""A person learned from photos: settings, latents and captions, checkpoints, and the sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.errors import ReageError
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.dreambooth import load_person, save_person
from reage.prompts import label_prompt
from reage.training.dreambooth.person import (
    ClassImages,
    PersonRequest,
    choose_recipe,
    draw_labels,
    encode_pictures,
    fit_person,
    name_checkpoint,
    peak_memory_mb,
)
from reage.training.dreambooth.subject import SubjectPhotos
from reage.training.dreambooth.train import PRESETS, WHOLE_RATE

PX = 16


def draw_squares(num: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, PX, PX, 3), np.uint8)


PHOTOS = SubjectPhotos(draw_squares(3, 0), (Path("a.png"),) * 3, (40.0, 41.0, 72.0), np.full(128, 0.1, np.float32), ())
OTHERS = ClassImages(
    squares=draw_squares(4, 1), captions=[label_prompt(label) for label in ("old", "old", "child", "old")]
)


def make_order(steps: int = 2, **changes: object) -> PersonRequest:
    recipe = replace(choose_recipe("default", steps=steps, seed=5), **changes)  # type: ignore[arg-type]
    return PersonRequest(word="sks", class_word="person", preset="default", recipe=recipe)


@pytest.fixture(scope="module")
def folder(save_tiny_base: Callable[..., Path]) -> Path:
    return save_tiny_base()


@pytest.fixture
def base(folder: Path) -> DiffusionBase:
    return load_base(folder)


def test_presets_can_be_changed() -> None:
    assert choose_recipe("default") == PRESETS["default"]
    assert choose_recipe("tbiom-cosine", seed=4) == replace(PRESETS["tbiom-cosine"], seed=4)
    whole = choose_recipe("default", whole=True, identity="none", steps=7)
    assert (whole.lora_rank, whole.rate, whole.identity, whole.schedule.steps) == (0, WHOLE_RATE, "none", 7)
    assert choose_recipe("default", whole=True, rate=1e-5).rate == 1e-5


def test_a_person_is_learned_by_the_face_net_too(base: DiffusionBase) -> None:
    seen: list[float] = []
    order = make_order(steps=2, identity="biometric", visible_below=1000)
    fit_person(order, base, PHOTOS, OTHERS, watch=lambda step, losses: seen.append(losses["identity"]))
    assert len(seen) == 2
    assert min(seen) > 0
    assert choose_recipe("ijcb-biometric").identity == "biometric"


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(ReageError, match="no preset 'best'; choose one of default, ijcb-biometric"):
        choose_recipe("best")


def test_pictures_and_mirror_images_keep_their_captions(base: DiffusionBase) -> None:
    squares = draw_squares(9, 2)
    captions = [f"number {place}" for place in range(9)]
    found = encode_pictures(base, squares, captions)
    assert found.values.shape == (18, 4, 8, 8)
    for prompt, want in (("number 0", squares[:1]), ("number 8", squares[8:])):
        rows = [row for row, said in enumerate(found.prompts) if said == prompt]
        again = encode_pictures(base, want, [prompt])
        torch.testing.assert_close(found.values[rows], again.values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_person_is_learned_stored_and_drawn(lora_rank: int, base: DiffusionBase, tmp_path: Path) -> None:
    told: list[set[str]] = []
    order = make_order(lora_rank=lora_rank, rate=1e-3)
    person = fit_person(order, base, PHOTOS, OTHERS, watch=lambda step, seen: told.append(set(seen)))
    assert told == [{"person", "others", "identity", "loss"}] * 2
    assert person.provenance.items() >= {"preset": "default", "seed": 5, "steps": 2, "identity_loss": "cosine"}.items()
    assert (person.provenance["num_photos"], person.provenance["num_others"]) == (3, 4)
    np.testing.assert_array_equal(person.identity, PHOTOS.identity)
    save_person(tmp_path / "mia.safetensors", base, person)
    loaded, same = load_person(tmp_path / "mia.safetensors")
    made, wanted = (draw_labels(one, person, 2) for one in (loaded, base))
    assert np.abs(made.astype(int) - wanted).max() <= (1 if lora_rank else 12)
    assert same.provenance == person.provenance
    assert made.shape[0] > 7 * 192


def test_without_others_the_person_is_learned_alone(base: DiffusionBase) -> None:
    told: list[set[str]] = []
    person = fit_person(make_order(1), base, PHOTOS, watch=lambda step, seen: told.append(set(seen)))
    assert told == [{"person", "identity", "loss"}]
    assert person.provenance["num_others"] == 0


def test_a_stopped_run_goes_on_and_ends_the_same(folder: Path, tmp_path: Path) -> None:
    order = make_order(4, schedule=replace(make_order(4).recipe.schedule, checkpoint_seconds=0.0))
    checkpoint = tmp_path / "mia.checkpoint"

    def stop(step: int, seen: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole, stopped = load_base(folder), load_base(folder)
    fit_person(order, whole, PHOTOS, OTHERS)
    with pytest.raises(KeyboardInterrupt):
        fit_person(order, stopped, PHOTOS, OTHERS, checkpoint, stop)
    told: list[int] = []
    resumed = load_base(folder)
    fit_person(order, resumed, PHOTOS, OTHERS, checkpoint, lambda step, seen: told.append(step))
    assert told == [3, 4]
    assert not checkpoint.exists()
    for name, value in resumed.unet.state_dict().items():
        torch.testing.assert_close(value, whole.unet.state_dict()[name], rtol=0, atol=1e-6)


def test_another_order_has_another_checkpoint(base: DiffusionBase) -> None:
    out, order = Path("mia.safetensors"), make_order()
    names = [
        name_checkpoint(out, order, base, PHOTOS, OTHERS),
        name_checkpoint(out, make_order(3), base, PHOTOS, OTHERS),
        name_checkpoint(out, replace(order, word="ohwx"), base, PHOTOS, OTHERS),
        name_checkpoint(out, order, base, replace(PHOTOS, squares=draw_squares(3, 9)), OTHERS),
        name_checkpoint(out, order, base, PHOTOS, None),
    ]
    assert len(set(names)) == 5
    assert name_checkpoint(out, make_order(), base, PHOTOS, OTHERS) == names[0]
    assert names[0].name.startswith("mia.")
    assert names[0].suffix == ".checkpoint"


def test_memory_is_told_in_megabytes() -> None:
    assert 50 < peak_memory_mb()["main"] < 1e6
