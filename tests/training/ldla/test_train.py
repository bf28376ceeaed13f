"""Training of LDLA on a tiny base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.errors import WeightsError
from reage.nets.diffusion import DiffusionBase, load_base
from reage.training.ldla.dataset import PairedLatents
from reage.training.ldla.losses import LdlaLossWeights
from reage.training.ldla.pretrain import LOW_NOISE, PretrainConfig
from reage.training.ldla.train import LdlaTrainingConfig, describe, run, train_ldla, trained_tensors
from reage.training.runner import RunContext, save_arrays
from reage.training.skin_changes import SkinChangeConfig
from reage.training.trainer import TrainerConfig
from reage.types import Face
from reage.weights import save_weights

TRAINER = TrainerConfig(steps=3, batch_size=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, bf16=False)
CONFIG = LdlaTrainingConfig(
    trainer=TRAINER,
    score_net_trainer=TRAINER,
    pretrain=(PretrainConfig(trainer=TRAINER),),
    score_net_batch_size=4,
    losses=LdlaLossWeights(score=1.0, cycle=1.0),
    skin_changes=SkinChangeConfig(plane_px=128, crop_px=64),
)


def state_of(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: torch.nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("rank", [0, 2])
def test_training_changes_the_denoiser_and_no_other_part_of_the_base(
    rank: int, base: DiffusionBase, pairs: PairedLatents
) -> None:
    text, vae = state_of(base.text_encoder), state_of(base.vae)
    config = replace(CONFIG, lora_rank=rank)
    losses: list[dict[str, float]] = []
    train_ldla(config, base, pairs, callbacks=[lambda step, found, ema: losses.append(dict(found))])
    first, later = {"pair", "loss"}, {"zone", "full", "score", "cycle", "pair", "score_net", "loss"}
    assert [set(one) for one in losses] == [first] * 3 + [later] * 3
    assert not changed(base.text_encoder, text)
    assert not changed(base.vae, vae)
    tensors = trained_tensors(base, config)
    assert all("lora_" in name for name in tensors) == bool(rank)
    assert describe(config, base)["base"] == "ldm-tiny"


def test_training_goes_on_from_other_weights(
    pairs: PairedLatents, tmp_path: Path, save_tiny_base: Callable[..., Path]
) -> None:
    """Without a step, the weights that are started from come out; those of another autoencoder are refused."""
    config = replace(CONFIG, pretrain=(), trainer=replace(TRAINER, steps=1), learning_rate=0.0)
    other, base = load_base(save_tiny_base()), load_base(save_tiny_base())
    other.unet.conv_in.bias.data += 1
    path = tmp_path / "first.safetensors"
    save_weights(path, trained_tensors(other, config), describe(config, other), fp16=False)
    train_ldla(replace(config, start=str(path)), base, pairs)
    assert not changed(base.unet, state_of(other.unet))
    save_weights(path, trained_tensors(other, config), describe(config, other) | {"base_hash": "0" * 12})
    with pytest.raises(WeightsError, match="no whole denoiser for the base"):
        train_ldla(replace(config, start=str(path)), base, pairs)


def test_callbacks_count_the_steps_of_all_stages(base: DiffusionBase, pairs: PairedLatents) -> None:
    steps: list[int] = []
    train_ldla(CONFIG, base, pairs, callbacks=[lambda step, found, ema: steps.append(step)])
    assert steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("stopped", [2, 6, 10])
def test_a_resumed_run_equals_one_that_was_not_stopped(
    stopped: int, pairs: PairedLatents, tmp_path: Path, build_tiny_base: Callable[[], DiffusionBase]
) -> None:
    def train(stop_at: int | None, checkpoint: Path | None) -> dict[str, torch.Tensor]:
        base = build_tiny_base()

        def stop(step: int, losses: object, ema: object) -> None:
            if step == stop_at:
                raise KeyboardInterrupt

        trainer = replace(TRAINER, steps=4, checkpoint_seconds=0.0)
        pretrain = (PretrainConfig(trainer=trainer), replace(LOW_NOISE, trainer=trainer))
        config = replace(CONFIG, trainer=trainer, pretrain=pretrain)
        if stop_at:
            with pytest.raises(KeyboardInterrupt):
                train_ldla(config, base, pairs, checkpoint, [stop])
        else:
            train_ldla(config, base, pairs, checkpoint, [stop])
        return state_of(base.unet)

    train(stopped, tmp_path / "run.checkpoint")
    resumed = train(None, tmp_path / "run.checkpoint")
    straight = train(None, None)
    assert all(torch.equal(value, straight[name]) for name, value in resumed.items())


LAUNCHED = """
import sys
from pathlib import Path

import torch

from reage.nets.diffusion import build_base, tiny
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.ldla.dataset import PairedLatents
from reage.training.ldla.losses import LdlaLossWeights
from reage.training.ldla.pretrain import PretrainConfig
from reage.training.ldla.train import LdlaTrainingConfig, train_ldla
from reage.training.runner import load_arrays
from reage.training.trainer import TrainerConfig, process_state

torch.set_num_threads(1)
torch.manual_seed(0)
base = build_base(tiny(), build_tokenizer(all_prompts()))
trainer = TrainerConfig(steps=3, batch_size=4, weight_decay=0.0, bf16=False)
config = LdlaTrainingConfig(
    trainer=trainer,
    score_net_trainer=trainer,
    pretrain=(PretrainConfig(trainer=trainer),),
    score_net_batch_size=4,
    losses=LdlaLossWeights(cycle=1.0),
    ramp_start=0.1,
)
losses = []
pairs = load_arrays(Path(sys.argv[1]), PairedLatents)
net = train_ldla(config, base, pairs, callbacks=[lambda step, found, ema: losses.append(found["loss"])])
if process_state().is_main_process:
    print(process_state().num_processes, *losses, sum(weight.abs().sum().item() for weight in net.unet.parameters()))
"""


def test_two_processes_train_as_one(pairs: PairedLatents, tmp_path: Path, check_two_train_as_one: Callable) -> None:
    save_arrays(tmp_path / "pairs.npz", pairs)
    check_two_train_as_one(LAUNCHED, tmp_path / "pairs.npz")


def test_a_run_makes_pairs_once_and_returns_weights(
    face: Face,
    make_portrait: Callable[..., Portrait],
    to_columns: Callable[..., Portraits],
    save_tiny_base: Callable[..., Path],
    tmp_path: Path,
) -> None:
    person = next(name for name in (f"P{number}" for number in range(30)) if split_of(name) == "train")
    portraits = to_columns([make_portrait(face.crop, person=person)])
    context = RunContext(checkpoint=tmp_path / "ldla.checkpoint", base=str(save_tiny_base()))
    tensors, description = run(CONFIG, portraits, context)
    assert "conv_in.weight" in tensors
    assert description["recipe"] == asdict(CONFIG)
    made = {path.name for path in tmp_path.iterdir() if path.suffix == ".npz"}
    assert made == {f"ldla.{name}.npz" for name in ("skin_changes", "pairs")}
    again, _ = run(CONFIG, portraits, context)
    assert all(torch.equal(value, again[name]) for name, value in tensors.items())
