"""The recipe of a base, tiny: from portraits to a base, and a second run that finds all stages done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.nets.diffusion import tiny
from reage.training.diffusion.dataset import CropDatasetConfig
from reage.training.diffusion.train import ldm_small, run
from reage.training.runner import RunContext
from reage.training.trainer import TrainerConfig
from reage.types import Face

TRAINER = TrainerConfig(steps=2, batch_size=4, weight_decay=0.0, warmup_steps=1, bf16=False)


def test_a_run_trains_all_stages_once(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits], tmp_path: Path
) -> None:
    full = ldm_small()
    config = replace(
        full,
        net=tiny(),
        autoencoder=replace(
            full.autoencoder, trainer=TRAINER, dataset=CropDatasetConfig(picture_px=16), num_scaling_samples=4
        ),
        num_versions=1,
        num_extra_faces=1,
        denoiser=replace(full.denoiser, trainer=TRAINER),
        face_denoiser=replace(full.face_denoiser, trainer=TRAINER),
    )
    person = next(name for name in (f"P{number}" for number in range(30)) if split_of(name) == "train")
    portraits = to_columns([make_portrait(face.crop, person=person)])
    context = RunContext(checkpoint=tmp_path / "base.checkpoint")
    base = run(config, portraits, context)
    assert base.provenance["face_denoiser"]["balance_labels"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"base.{name}" for name in ("crops.npz", "latents.npz", "autoencoder", "denoiser", "face-denoiser")
    }
    again = run(replace(config, seed=1), portraits, context)
    for name, value in base.unet.state_dict().items():
        assert torch.equal(value, again.unet.state_dict()[name]), name
