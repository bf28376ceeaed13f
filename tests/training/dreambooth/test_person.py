"""Learning a person from photos: configs, training, checkpoints, and the sheet of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.errors import ReageError
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.dreambooth import load_person, save_person
from reage.prompts import label_prompt
from reage.training.dreambooth.class_images import ClassImages
from reage.training.dreambooth.dataset import SubjectPhotos
from reage.training.dreambooth.person import (
    PersonRequest,
    choose_config,
    draw_sample_sheet,
    fit_person,
    name_checkpoint,
    peak_memory_mb,
)
from reage.training.dreambooth.train import FULL_LEARNING_RATE, PRESETS

PX = 16


def draw_images(num: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, PX, PX, 3), np.uint8)


PHOTOS = SubjectPhotos(draw_images(3, 0), (Path("a.png"),) * 3, (40.0, 41.0, 72.0), np.full(128, 0.1, np.float32), ())
CLASS_IMAGES = ClassImages(
    images=draw_images(4, 1), captions=[label_prompt(label) for label in ("old", "old", "child", "old")]
)


def make_request(steps: int = 2, **changes: object) -> PersonRequest:
    config = replace(choose_config("default", steps=steps, seed=5), **changes)  # type: ignore[arg-type]
    return PersonRequest(token="sks", class_word="person", preset="default", config=config)


class Recorder:
    """A callback that keeps the steps and losses."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[dict[str, float]] = []

    def __call__(self, step: int, losses: Mapping[str, float], ema: object) -> None:
        self.steps.append(step)
        self.losses.append(dict(losses))

    @property
    def names(self) -> list[set[str]]:
        return [set(losses) for losses in self.losses]


@pytest.fixture(scope="module")
def folder(save_tiny_base: Callable[..., Path]) -> Path:
    return save_tiny_base()


@pytest.fixture
def base(folder: Path) -> DiffusionBase:
    return load_base(folder)


def test_presets_can_be_changed() -> None:
    assert choose_config("default") == PRESETS["default"]
    assert choose_config("tbiom-cosine", seed=4) == replace(PRESETS["tbiom-cosine"], seed=4)
    full = choose_config("default", full=True, identity_loss="none", steps=7)
    assert (full.lora_rank, full.learning_rate) == (0, FULL_LEARNING_RATE)
    assert (full.identity_loss, full.trainer.steps) == ("none", 7)
    assert choose_config("default", full=True, learning_rate=1e-5).learning_rate == 1e-5


def test_a_person_is_learned_with_the_biometric_loss(base: DiffusionBase) -> None:
    recorded = Recorder()
    request = make_request(steps=2, identity_loss="biometric", biometric_max_step=1000)
    fit_person(request, base, PHOTOS, CLASS_IMAGES, callbacks=[recorded])
    assert recorded.steps == [1, 2]
    assert min(losses["identity"] for losses in recorded.losses) > 0
    assert choose_config("ijcb-biometric").identity_loss == "biometric"


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(ReageError, match="no preset 'best'; choose one of default, ijcb-biometric"):
        choose_config("best")


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_person_is_learned_stored_and_generated(lora_rank: int, base: DiffusionBase, tmp_path: Path) -> None:
    recorded = Recorder()
    request = make_request(lora_rank=lora_rank, learning_rate=1e-3)
    person = fit_person(request, base, PHOTOS, CLASS_IMAGES, callbacks=[recorded])
    assert recorded.names == [{"instance", "prior", "identity", "loss"}] * 2
    assert person.provenance.items() >= {"preset": "default", "seed": 5, "steps": 2, "identity_loss": "cosine"}.items()
    assert (person.provenance["num_photos"], person.provenance["num_class_images"]) == (3, 4)
    np.testing.assert_array_equal(person.identity, PHOTOS.identity)
    save_person(tmp_path / "mia.safetensors", base, person)
    loaded, same = load_person(tmp_path / "mia.safetensors")
    made, wanted = (draw_sample_sheet(one, person, 2) for one in (loaded, base))
    assert np.abs(made.astype(int) - wanted).max() <= (1 if lora_rank else 12)
    assert same.provenance == person.provenance
    assert made.shape[0] > 7 * 192


def test_without_class_images_there_is_no_prior_loss(base: DiffusionBase) -> None:
    recorded = Recorder()
    person = fit_person(make_request(1), base, PHOTOS, callbacks=[recorded])
    assert recorded.names == [{"instance", "identity", "loss"}]
    assert person.provenance["num_class_images"] == 0


def test_a_resumed_run_ends_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    request = make_request(4, trainer=replace(make_request(4).config.trainer, checkpoint_seconds=0.0))
    checkpoint = tmp_path / "mia.checkpoint"

    def stop(step: int, losses: object, ema: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole, stopped = load_base(folder), load_base(folder)
    fit_person(request, whole, PHOTOS, CLASS_IMAGES)
    with pytest.raises(KeyboardInterrupt):
        fit_person(request, stopped, PHOTOS, CLASS_IMAGES, checkpoint, [stop])
    recorded, resumed = Recorder(), load_base(folder)
    fit_person(request, resumed, PHOTOS, CLASS_IMAGES, checkpoint, [recorded])
    assert recorded.steps == [3, 4]
    assert not checkpoint.exists()
    for name, value in resumed.unet.state_dict().items():
        torch.testing.assert_close(value, whole.unet.state_dict()[name], rtol=0, atol=1e-6)


def test_another_request_has_another_checkpoint(base: DiffusionBase) -> None:
    out, request = Path("mia.safetensors"), make_request()
    names = [
        name_checkpoint(out, request, base, PHOTOS, CLASS_IMAGES),
        name_checkpoint(out, make_request(3), base, PHOTOS, CLASS_IMAGES),
        name_checkpoint(out, replace(request, token="ohwx"), base, PHOTOS, CLASS_IMAGES),
        name_checkpoint(out, request, base, replace(PHOTOS, images=draw_images(3, 9)), CLASS_IMAGES),
        name_checkpoint(out, request, base, PHOTOS, None),
    ]
    assert len(set(names)) == 5
    assert name_checkpoint(out, make_request(), base, PHOTOS, CLASS_IMAGES) == names[0]
    assert names[0].name.startswith("mia.")
    assert names[0].suffix == ".checkpoint"


def test_memory_is_reported_in_megabytes() -> None:
    assert 50 < peak_memory_mb()["main"] < 1e6
