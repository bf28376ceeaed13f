"""Runs of the face generator: where gradients go, resumed, repeated, shared by two processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from reage.training.reenactment.dataset import ReenactmentDataset, sample_batch
from reage.training.reenactment.losses import LossWeights
from reage.training.reenactment.train import Reenactment, ReenactmentTrainingConfig, reenactment, train_reenactment
from reage.training.runner import save_arrays
from tests.training.reenactment.conftest import TINY


def gradients(net: nn.Module) -> float:
    return sum(weight.grad.abs().sum().item() for weight in net.parameters() if weight.grad is not None)


@pytest.mark.parametrize("lazy", [False, True])
def test_generator_and_critic_get_gradients(net: Reenactment, turned: ReenactmentDataset, lazy: bool) -> None:
    step = net.loss(sample_batch(turned, 2, torch.Generator().manual_seed(0)), lazy=lazy)
    step.total.backward()
    assert gradients(net.generator) > 0
    assert gradients(net.critic) > 0
    assert ("identity" in step.parts) == lazy


def test_each_net_is_taught_by_its_own_losses(turned: ReenactmentDataset) -> None:
    nothing = LossWeights(hidden=0, visible=0, perceptual=0, identity=0, adversarial=0, r1=0)
    net = Reenactment(replace(TINY, losses=nothing))
    net.loss(sample_batch(turned, 2, torch.Generator().manual_seed(0))).total.backward()
    assert gradients(net.generator) == 0
    assert gradients(net.critic) > 0


def test_a_stopped_run_goes_on_where_it_was(turned: ReenactmentDataset, tmp_path: Path) -> None:
    config = replace(TINY, trainer=replace(TINY.trainer, checkpoint_seconds=0.0))
    steps: list[int] = []

    def stop_at_two(step: int, losses: Mapping[str, float], ema: nn.Module) -> None:
        steps.append(step)
        if steps == [1, 2]:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "reenactment.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_reenactment(config, turned, checkpoint, [stop_at_two])
    resumed = train_reenactment(config, turned, checkpoint, [stop_at_two])
    assert steps == [1, 2, 2, 3]
    straight = train_reenactment(TINY, turned)
    for mine, other in zip(resumed.parameters(), straight.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
    assert not checkpoint.exists()


def test_the_recipe_names_the_shipped_configuration() -> None:
    assert reenactment() == ReenactmentTrainingConfig()


LAUNCHED = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from reage.training.reenactment.dataset import ReenactmentDataset
from reage.training.reenactment.train import train_reenactment
from reage.training.runner import load_arrays
from reage.training.trainer import process_state

sys.path.insert(0, sys.argv[2])
from tests.training.reenactment.conftest import TINY

torch.set_num_threads(1)
losses = []
dataset = load_arrays(Path(sys.argv[1]), ReenactmentDataset)
net = train_reenactment(TINY, dataset, callbacks=[lambda step, values, ema: losses.append(values["hidden"])])
if process_state().is_main_process:
    print(process_state().num_processes, next(net.generator.parameters()).abs().sum().item())
"""


def test_two_processes_train_as_one(
    turned: ReenactmentDataset, tmp_path: Path, check_two_train_as_one: Callable
) -> None:
    """Each has half the batch, and the weights are those of one process with all of it."""
    save_arrays(tmp_path / "turned.npz", turned)
    check_two_train_as_one(LAUNCHED, tmp_path / "turned.npz", Path(__file__).parents[3])
