"""The trainer: schedule, EMA, callbacks, resuming, precision."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from reage.errors import WeightsError
from reage.training.trainer import (
    StepLoss,
    Trainer,
    TrainerConfig,
    after_steps,
    autocast_bf16,
    lr_scale,
    scale_learning_rates,
)

CONFIG = TrainerConfig(steps=6, batch_size=2, warmup_steps=2, bf16=False, checkpoint_seconds=0.0)


def make_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def loss_of(net: nn.Module, generator: Generator) -> Tensor:
    x = torch.randn(CONFIG.batch_size, 3, generator=generator)
    return (net(x) - x.sum(1, keepdim=True)).square().mean()


@pytest.mark.parametrize(
    ("capability", "wanted", "used"), [("AVX512", True, True), ("AVX2", True, False), ("AVX512", False, False)]
)
def test_bf16_is_used_where_it_is_faster(
    capability: str, wanted: bool, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    x = torch.ones(2, 2)
    with autocast_bf16(torch.device("cpu"), wanted):
        assert ((x @ x).dtype == torch.bfloat16) == used


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    config = TrainerConfig(steps=100, batch_size=1, warmup_steps=10)
    scales = [lr_scale(step, config) for step in range(100)]
    assert scales[:10] == sorted(scales[:10])
    assert scales[10:] == sorted(scales[10:], reverse=True)
    assert max(scales) > 0.95
    assert scales[-1] < 0.001


def test_layers_get_learning_rates_in_proportion_to_their_weights() -> None:
    layers = [nn.Linear(64, 64), nn.Linear(64, 64)]
    layers[1].weight.data = 3 * layers[0].weight.data
    (_, first), (_, second) = scale_learning_rates(layers, 0.01)
    assert first == pytest.approx(0.01 * float(layers[0].weight.std()))
    assert second == pytest.approx(3 * first)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_run_returns_the_moving_average_of_the_weights(ema_decay: float) -> None:
    config = TrainerConfig(steps=20, batch_size=2, warmup_steps=2, bf16=False, ema_decay=ema_decay)
    net = make_net()
    ema = Trainer(config, seed=0).fit(net, lambda generator: loss_of(net, generator), [(net, 0.1)])
    assert torch.equal(ema.weight, net.weight) == (ema_decay == 0.0)
    assert not ema.training
    assert not net.training


def test_running_statistics_are_those_of_the_net() -> None:
    """They are averages already; an average of them would lag behind weights that are averaged alike."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    config = TrainerConfig(steps=20, batch_size=8, warmup_steps=2, bf16=False, ema_decay=0.9)

    def loss_fn(generator: Generator) -> Tensor:
        x = 5 + torch.randn(8, 3, generator=generator)
        return (net(x) - x.sum(1, keepdim=True)).square().mean()

    ema = Trainer(config, seed=0).fit(net, loss_fn, [(net, 0.1)])
    assert not torch.equal(ema[0].weight, net[0].weight)
    for kept, own in zip(ema.buffers(), net.buffers(), strict=True):
        assert torch.equal(kept, own)
    assert ema[1].num_batches_tracked == 20
    assert ema[1].running_mean.abs().max() > 0.5


def test_only_the_parts_in_a_group_are_trained() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    before = copy.deepcopy(net)
    Trainer(CONFIG, seed=0).fit(net, lambda generator: loss_of(net, generator), [(net[1], 0.1)])
    assert torch.equal(net[0].weight, before[0].weight)
    assert not torch.equal(net[1].weight, before[1].weight)


def test_callbacks_get_the_total_and_the_parts_after_each_step() -> None:
    net, calls = make_net(), []

    def loss_fn(generator: Generator) -> StepLoss:
        loss = loss_of(net, generator)
        return StepLoss(2 * loss, {"mse": loss})

    callbacks = after_steps(100, [lambda step, losses, ema: calls.append((step, losses, type(ema)))])
    Trainer(CONFIG, seed=0, callbacks=callbacks).fit(net, loss_fn, [(net, 0.1)])
    assert [step for step, _, _ in calls] == [101, 102, 103, 104, 105, 106]
    assert all(kind is nn.Linear for _, _, kind in calls)
    for _, losses, _ in calls:
        assert set(losses) == {"mse", "loss"}
        assert losses["loss"] == pytest.approx(2 * losses["mse"])


@pytest.mark.parametrize("stopped", [1, 4])
def test_a_resumed_run_is_the_same_run(stopped: int, tmp_path: Path) -> None:
    def run(net: nn.Module, checkpoint: Path | None, stop_after: int | None = None) -> nn.Module:
        def stop(step: int, losses: object, ema: object) -> None:
            if step == stop_after:
                raise KeyboardInterrupt

        trainer = Trainer(CONFIG, seed=3, checkpoint=checkpoint, callbacks=[stop])
        return trainer.fit(net, lambda generator: loss_of(net, generator), [(net, 0.1)])

    whole = run(make_net(), None)
    with pytest.raises(KeyboardInterrupt):
        run(make_net(), tmp_path / "checkpoint", stopped + 1)
    assert (tmp_path / "checkpoint").is_file()
    resumed = run(make_net(), tmp_path / "checkpoint")
    assert torch.equal(whole.weight, resumed.weight)
    assert not (tmp_path / "checkpoint").exists()


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    torch.save({"step": 1}, tmp_path / "checkpoint")
    net = make_net()
    with pytest.raises(WeightsError, match=r"belongs to another run; delete it to start afresh\.$"):
        Trainer(CONFIG, seed=0, checkpoint=tmp_path / "checkpoint").fit(net, lambda g: loss_of(net, g), [(net, 0.1)])
