"""Runs of the recipe: what learns, what comes out, resumed, and shared by two processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.nets.aifd import Aifd, AifdConfig, cpu, load_aifd, tiny
from reage.nets.dlib_resnet import load_dlib_resnet
from reage.training.aifd.dataset import AifdDataset, AifdDatasetConfig, CrossAgeFaces, make_cross_age_faces
from reage.training.aifd.losses import LossWeights
from reage.training.aifd.train import (
    AifdTraining,
    AifdTrainingConfig,
    aifd,
    embed_chips,
    left_out_rows,
    measure_threshold,
    parameter_groups,
    run,
    start_training,
    train_aifd,
)
from reage.training.cross_age import CrossAgeDataset
from reage.training.runner import RunContext, save_arrays
from reage.training.trainer import TrainerConfig
from reage.types import Face
from reage.weights import save_weights

STEPS = TrainerConfig(steps=4, batch_size=4, weight_decay=0.0, bf16=False)
CONFIG = AifdTrainingConfig(net=tiny(), from_dlib=False, trainer=STEPS)


@pytest.fixture
def training(faces: CrossAgeFaces) -> AifdTraining:
    return start_training(CONFIG, faces)[0]


@pytest.mark.parametrize(
    ("loss", "reached"),
    [
        ("identity", {"trunk", "attention", "identity", "centres"}),
        ("age", {"trunk", "attention", "age"}),
        ("reversed_age", {"trunk", "attention", "adversary"}),
        ("distillation", {"trunk", "attention", "identity"}),
    ],
)
def test_each_loss_reaches_what_it_should(
    training: AifdTraining, faces: CrossAgeFaces, loss: str, reached: set[str]
) -> None:
    only = LossWeights(**dict.fromkeys(LossWeights.__dataclass_fields__, 0.0) | {loss: 1.0})
    batch = AifdDataset(faces, torch.randn(8, 8), AifdDatasetConfig()).sample(4, torch.Generator().manual_seed(0))
    found = training.train().loss(batch, only)
    found.total.backward()
    assert found.total.item() == pytest.approx(found.parts[loss].item())
    parts = {**dict(training.net.named_children()), "adversary": training.adversary, "centres": training.centres}
    moved = {
        name
        for name, part in parts.items()
        if any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in part.parameters())
    }
    assert moved == reached


def test_everything_is_trained_but_what_has_no_weights(training: AifdTraining) -> None:
    groups = parameter_groups(training, CONFIG)
    trained = {id(weight) for part, _ in groups for weight in part.parameters()}
    assert trained == {id(weight) for weight in training.parameters()}
    assert len(trained) == sum(len(list(part.parameters())) for part, _ in groups)
    first = training.net.trunk.stem.weight.std().item()
    assert groups[0][1] == pytest.approx(CONFIG.trunk_learning_rate * first)


def test_centres_start_at_the_people(faces: CrossAgeFaces) -> None:
    training, teacher = start_training(CONFIG, faces)
    unit = torch.nn.functional.normalize(teacher)
    mean = torch.nn.functional.normalize((unit[0] + unit[2])[None])[0]
    torch.testing.assert_close(training.centres.weight[0], mean)
    torch.testing.assert_close(training.centres.weight[5], unit[7])


def test_it_starts_with_dlibs_embeddings(cross_age: CrossAgeDataset) -> None:
    faces = make_cross_age_faces(cross_age)
    config = AifdTrainingConfig()
    training, teacher = start_training(config, faces)
    assert training.net.config == cpu()
    x = torch.from_numpy(faces.chips[:, 0]).permute(0, 3, 1, 2) / 127.5 - 1
    dlibs, mirrored = (load_dlib_resnet()(one) for one in (x, x.flip(3)))
    torch.testing.assert_close(teacher, dlibs + mirrored - 2 * dlibs.mean(0), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("loss", ["identity", "age", "distillation"])
def test_the_loss_falls(faces: CrossAgeFaces, loss: str) -> None:
    steps: list[Mapping[str, float]] = []
    only = LossWeights(**dict.fromkeys(LossWeights.__dataclass_fields__, 0.0) | {loss: 1.0})
    trainer = replace(STEPS, steps=14, warmup_steps=1, batch_size=6)
    config = replace(CONFIG, trainer=trainer, losses=only, learning_rate=3e-2)
    config = replace(config, trunk_learning_rate=5e-2, identity_learning_rate=5e-2)
    net = train_aifd(config, faces, callbacks=[lambda step, losses, ema: steps.append(losses)])
    assert set(steps[0]) == {"identity", "age", "reversed_age", "distillation", "loss"}
    early, late = (np.mean([losses[loss] for losses in part]) for part in (steps[:3], steps[-3:]))
    assert late < 0.8 * early
    assert not net.training


def test_embeddings_are_those_of_a_face_and_its_mirror_image(faces: CrossAgeFaces) -> None:
    net = start_training(CONFIG, faces)[0].net
    chips = faces.chips[:, 0]
    found = embed_chips(net, chips)
    np.testing.assert_allclose(found, embed_chips(net, np.ascontiguousarray(chips[:, :, ::-1])), atol=1e-5)
    assert np.ptp(found, 0).max() > 1e-3


class DirectionNet(Aifd):
    """Embeds a face as the direction of its mean colour."""

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def test_the_threshold_refuses_all_but_one_stranger_in_a_thousand() -> None:
    rng = np.random.default_rng(0)
    chips = np.repeat(np.repeat(rng.integers(0, 256, (100, 3, 1, 1, 3)), 4, 2), 4, 3).astype(np.uint8)
    faces = CrossAgeFaces(
        chips=chips, age_years=np.ones((100, 3), np.float32), person=np.arange(100), is_man=np.zeros(100, bool)
    )
    net = DirectionNet(tiny())
    threshold = measure_threshold(net, faces)
    embeddings = embed_chips(net, chips.reshape(-1, 4, 4, 3)).reshape(100, 3, 3)
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    cosines = [unit[i, 0] @ unit[j, version] for i in range(100) for j in range(i) for version in range(3)]
    assert np.mean(np.array(cosines) >= threshold) == pytest.approx(0.001, abs=2e-4)
    few = faces.pick(np.arange(100) < 10)
    assert math.isnan(measure_threshold(net, few))


def test_a_stopped_run_is_resumed(faces: CrossAgeFaces, tmp_path: Path) -> None:
    config = replace(CONFIG, trainer=replace(STEPS, checkpoint_seconds=0.0))
    steps: list[int] = []

    def stop_at_three(step: int, losses: Mapping[str, float], ema: nn.Module) -> None:
        steps.append(step)
        if step == 3 and steps.count(3) == 1:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "aifd.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_aifd(config, faces, checkpoint, [stop_at_three])
    resumed = train_aifd(config, faces, checkpoint, [stop_at_three])
    assert steps == [1, 2, 3, 3, 4]
    straight = train_aifd(config, faces)
    for name, values in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], values)


@pytest.fixture
def portraits(
    cross_age: CrossAgeDataset, face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> Portraits:
    """The people of the cross-age set, and a held-out one."""
    names = [f"P{number}" for number in range(60)]
    training = [name for name in names if split_of(name) == "train"][:6]
    held_out = next(name for name in names if split_of(name) == "val")
    people = [*(training[number] for number in cross_age.person), held_out]
    return to_columns([make_portrait(face.crop, person=person, side_px=64) for person in people])


def test_a_run_leaves_a_fold_of_people_out(portraits: Portraits, cross_age: CrossAgeDataset, tmp_path: Path) -> None:
    save_arrays(tmp_path / "aifd.cross_age.npz", cross_age)
    people = np.unique(portraits.person[portraits.split == "train"])
    config = replace(CONFIG, folds=2, trainer=replace(STEPS, batch_size=1, steps=2))
    left_out = left_out_rows(config, people)
    assert 0 < left_out.sum() < len(people)
    tensors, stored = run(config, portraits, RunContext(checkpoint=tmp_path / "aifd.checkpoint"))
    assert math.isnan(float(stored["threshold"]))
    assert stored["seed"] == 0
    assert not any(name.startswith(("adversary", "centres")) for name in tensors)
    save_weights(tmp_path / "aifd.safetensors", tensors, {**stored, "name": "aifd"})
    assert load_aifd(tmp_path / "aifd.safetensors").config == tiny()


def test_the_recipe_names_the_shipped_configuration() -> None:
    assert aifd() == AifdTrainingConfig()
    assert aifd().net == AifdConfig()


LAUNCHED = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from reage.nets.aifd import tiny
from reage.training.aifd.dataset import CrossAgeFaces
from reage.training.aifd.train import AifdTrainingConfig, train_aifd
from reage.training.runner import load_arrays
from reage.training.trainer import TrainerConfig, process_state

torch.set_num_threads(1)
steps = TrainerConfig(steps=3, batch_size=4, weight_decay=0.0, bf16=False)
config = AifdTrainingConfig(net=replace(tiny(), dropout=0.0), from_dlib=False, trainer=steps)
losses = []
callbacks = [lambda step, values, ema: losses.append(values["loss"])]
net = train_aifd(config, load_arrays(Path(sys.argv[1]), CrossAgeFaces), callbacks=callbacks)
if process_state().is_main_process:
    print(process_state().num_processes, *losses, net.identity.linear.weight.abs().sum().item())
"""


def test_two_processes_train_as_one(faces: CrossAgeFaces, tmp_path: Path, check_two_train_as_one: Callable) -> None:
    """Each has half the pairs, and the losses and weights are those of one process with all of them."""
    save_arrays(tmp_path / "faces.npz", faces)
    check_two_train_as_one(LAUNCHED, tmp_path / "faces.npz")
