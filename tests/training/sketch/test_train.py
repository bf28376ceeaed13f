"""Runs of the sketch nets: where gradients go, stages, resumed runs, what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, nn

from reage.nets.pix2pix_config import tiny
from reage.training.runner import RunContext, save_arrays
from reage.training.sketch.dataset import SketchDataset, sample_batch
from reage.training.sketch.losses import LossWeights
from reage.training.sketch.train import Pix2Pix, run, sketch, sketch_to_photo, train_sketch
from reage.types import Face
from tests.training.sketch.conftest import TINY


def gradients(net: nn.Module) -> float:
    return sum(weight.grad.abs().sum().item() for weight in net.parameters() if weight.grad is not None)


def test_each_net_is_taught_by_its_own_losses(net: Pix2Pix, drawn: SketchDataset) -> None:
    batch = sample_batch(drawn, "sketch", 2, 64, TINY.augment, Generator().manual_seed(0))
    step = net.loss(batch)
    step.total.backward()
    assert set(step.parts) == {"l1", "adversarial", "discriminator"}
    assert gradients(net.generator) > 0
    assert gradients(net.discriminator) > 0
    nothing = Pix2Pix(replace(TINY, losses=LossWeights(adversarial=0, l1=0)))
    nothing.loss(batch).total.backward()
    assert gradients(nothing.generator) == 0
    assert gradients(nothing.discriminator) > 0


def test_a_stopped_run_goes_on_where_it_was(drawn: SketchDataset, tmp_path: Path) -> None:
    stages = tuple(replace(one, trainer=replace(one.trainer, checkpoint_seconds=0.0)) for one in TINY.stages)
    config = replace(TINY, stages=stages)
    steps: list[int] = []
    stop_at = 3

    def stop(step: int, losses: Mapping[str, float], ema: nn.Module) -> None:
        steps.append(step)
        if len(steps) == stop_at + 1:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "sketch.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_sketch(config, drawn, checkpoint, [stop])
    resumed = train_sketch(config, drawn, checkpoint, [stop])
    assert steps == [*range(1, stop_at + 2), *range(stop_at + 1, 5)]
    whole = train_sketch(config, drawn)
    for name, value in whole.generator.state_dict().items():
        torch.testing.assert_close(resumed.generator.state_dict()[name], value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_stores_what_the_nets_need(
    drawn: SketchDataset, tmp_path: Path, make_portrait: Callable, to_columns: Callable, face: Face
) -> None:
    context = RunContext(checkpoint=tmp_path / "sketch-to-photo.checkpoint")
    save_arrays(tmp_path / "sketch-to-photo.drawn.npz", drawn)
    config = replace(TINY, direction="photo", net=tiny(1, 3))
    tensors, stored = run(config, to_columns([make_portrait(face.crop)]), context)
    assert stored["direction"] == "photo"
    assert stored["net"]["channels_out"] == 3  # type: ignore[index]
    assert all(name.partition(".")[0] in ("downs", "ups", "out") for name in tensors)


def test_recipes_train_either_direction() -> None:
    assert (sketch().direction, sketch_to_photo().direction) == ("sketch", "photo")
    assert sketch_to_photo().net.generator.channels_in == sketch().net.generator.channels_out == 1
