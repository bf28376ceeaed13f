"""Runs of the de-aging net: where gradients go, what the losses are, what is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, nn

from reage.data.split import split_of
from reage.nets.deaging_config import tiny
from reage.nets.pix2pix_config import PatchGanConfig
from reage.training.cross_age import CrossAgeDataset
from reage.training.deaging import losses
from reage.training.deaging.dataset import DeagingDataset
from reage.training.deaging.losses import LossWeights
from reage.training.deaging.train import (
    Deaging,
    DeagingTrainerConfig,
    DeagingTrainingConfig,
    deaging,
    deaging_published,
    run,
    train_deaging,
)
from reage.training.runner import RunContext, save_arrays
from reage.types import Face
from tests.training.deaging.conftest import PHOTO_YEARS

TINY = DeagingTrainingConfig(
    net=tiny(),
    discriminator=PatchGanConfig(widths=(4, 4, 4, 4)),
    trainer=DeagingTrainerConfig(steps=2, batch_size=2, weight_decay=0.0, bf16=False),
)


def gradients(net: nn.Module) -> float:
    return sum(weight.grad.abs().sum().item() for weight in net.parameters() if weight.grad is not None)


def test_each_net_is_taught_by_its_own_losses(dataset: DeagingDataset) -> None:
    batch = dataset.sample(2, Generator().manual_seed(0))
    net = Deaging(TINY)
    step = net.loss(batch)
    assert set(step.parts) == {"reconstruction", "squared", "detail", "identity", "adversarial", "discriminator"}
    step.total.backward()
    assert gradients(net.net) > 0
    assert gradients(net.discriminator) > 0
    judged = Deaging(replace(TINY, losses=LossWeights(reconstruction=0, adversarial=1)))
    judged.loss(batch).total.backward()
    assert gradients(judged.net.young) > 0


def test_the_published_form_has_one_loss(dataset: DeagingDataset) -> None:
    net = Deaging(replace(TINY, losses=deaging_published().losses))
    step = net.loss(dataset.sample(2, Generator().manual_seed(0)))
    torch.testing.assert_close(step.total, step.parts["reconstruction"])
    step.total.backward()
    assert gradients(net.discriminator) == 0


def test_losses_look_under_the_mask() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    made, target = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    target[..., 4:] = 1
    assert losses.masked_loss(made, target, mask) == 0
    target[..., :4] = 0.5
    assert losses.masked_loss(made, target, mask) == pytest.approx(0.5)
    assert losses.masked_loss(made, target, mask, power=2) == pytest.approx(0.25)
    assert losses.identity_loss(torch.eye(2), torch.eye(2).flip(0)) == pytest.approx(1)


def test_a_run_is_its_seed(dataset: DeagingDataset) -> None:
    longer = replace(TINY, trainer=replace(TINY.trainer, steps=3, ema_decay=0.0), losses=LossWeights())
    seen: list[float] = []
    first, again = (
        train_deaging(longer, dataset, callbacks=[lambda step, losses, ema: seen.append(losses["loss"])])
        for _ in range(2)
    )
    torch.testing.assert_close(first.state_dict(), again.state_dict())
    assert seen[:3] == seen[3:]


def test_a_run_stores_what_the_net_needs(
    stored: CrossAgeDataset, tmp_path: Path, make_portrait: Callable, to_columns: Callable, face: Face
) -> None:
    context = RunContext(checkpoint=tmp_path / "deaging.checkpoint")
    save_arrays(tmp_path / "deaging.cross_age.npz", stored)
    people = [name for name in (f"P{number}" for number in range(9)) if split_of(name) == "train"]
    portraits = to_columns(
        [make_portrait(face.crop, person=name, age_years=age) for name, age in zip(people, PHOTO_YEARS, strict=False)]
    )
    tensors, config = run(TINY, portraits, context)
    assert config["net"]["latent"] == 8  # type: ignore[index]
    assert {name.partition(".")[0] for name in tensors} == {"encoder", "young", "old"}


def test_recipes_are_the_shipped_net_and_the_published_form() -> None:
    assert deaging().net.adds_to_input
    assert deaging().losses.identity > 0
    assert not deaging_published().net.num_skips
    assert deaging_published().dataset.pair_share == 0
