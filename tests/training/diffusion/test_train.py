"""The recipe of a base, tiny: from portraits to a base, and a second run that finds all stages done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.errors import WeightsError
from reage.nets.diffusion import DiffusionBase, load_base, save_base, tiny
from reage.training.diffusion.dataset import CropDatasetConfig
from reage.training.diffusion.denoiser import Denoiser
from reage.training.diffusion.train import LdmTrainingConfig, end_early, ldm_small, run
from reage.training.runner import RunContext
from reage.training.trainer import Callback, Trainer, TrainerConfig
from reage.types import Face

TRAINER = TrainerConfig(steps=2, batch_size=4, weight_decay=0.0, warmup_steps=1, bf16=False)


def make_config() -> LdmTrainingConfig:
    """A tiny run from random weights."""
    full = ldm_small()
    return replace(
        full,
        net=tiny(),
        start="",
        autoencoder=replace(
            full.autoencoder, trainer=TRAINER, dataset=CropDatasetConfig(picture_px=16), num_scaling_samples=4
        ),
        num_extra_faces=1,
        denoiser=replace(full.denoiser, trainer=TRAINER),
    )


@pytest.fixture
def portraits(face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]) -> Portraits:
    """One training person."""
    person = next(name for name in (f"P{number}" for number in range(30)) if split_of(name) == "train")
    return to_columns([make_portrait(face.crop, person=person)])


def test_a_run_trains_all_stages_once(portraits: Portraits, tmp_path: Path) -> None:
    config, context = make_config(), RunContext(checkpoint=tmp_path / "base.checkpoint")
    base = run(config, portraits, context)
    assert base.provenance["denoiser"]["balance_labels"]
    assert base.identity is not None
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"base.{name}" for name in ("crops.npz", "identities.npz", "latents.npz", "autoencoder", "denoiser")
    }
    again = run(replace(config, seed=1), portraits, context)
    for name, value in base.unet.state_dict().items():
        assert torch.equal(value, again.unet.state_dict()[name]), name


def test_a_run_that_starts_from_a_base_keeps_all_but_its_denoiser(
    portraits: Portraits, base: DiffusionBase, tmp_path: Path
) -> None:
    save_base(tmp_path / "first", replace(base, identity=None))
    config = replace(make_config(), start=str(tmp_path / "first"))
    run(config, portraits, RunContext(checkpoint=tmp_path / "base.checkpoint"))
    first, trained = (load_base(tmp_path / name) for name in ("first", "base.denoiser"))
    assert trained.hash_without_denoiser == first.hash_without_denoiser
    assert trained.weights_hash != first.weights_hash
    assert trained.identity is not None
    assert first.identity is None


def test_a_run_that_was_stopped_ends_with_its_last_checkpoint(base: DiffusionBase, tmp_path: Path) -> None:
    save_base(tmp_path / "first", base)
    config = replace(make_config(), start=str(tmp_path / "first"))
    context = RunContext(checkpoint=tmp_path / "base.checkpoint")
    with pytest.raises(WeightsError, match="no checkpoint"):
        end_early(config, context)
    trainer = Trainer(
        replace(TRAINER, steps=6, checkpoint_seconds=0.0),
        seed=0,
        checkpoint=tmp_path / "base.denoiser-checkpoint",
        callbacks=[stop_at(4)],
    )
    net = Denoiser(load_base(tmp_path / "first")).requires_grad_(True)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(net, lambda generator: sum(weight.square().sum() for weight in net.parameters()), [(net, 1e-3)])
    ended = end_early(config, context)
    stopped = torch.load(tmp_path / "base.denoiser-checkpoint", weights_only=True)
    assert torch.equal(ended.unet.state_dict()["conv_in.weight"], stopped["ema"]["unet.conv_in.weight"])
    assert ended.provenance["denoiser_steps_made"] == 3


def stop_at(step: int) -> Callback:
    """A callback that interrupts a run."""

    def stop(made: int, losses: Mapping[str, float], ema: torch.nn.Module) -> None:
        if made == step:
            raise KeyboardInterrupt

    return stop
