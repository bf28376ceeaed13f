"""Runs of all stages: resumed, repeated, and shared by two processes; the recipe from shards to an engine."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reage.engines import load_engine
from reage.engines.agetransgan import cut_picture
from reage.images.tensors import to_net
from reage.measure.recognizers import DlibRecognizer
from reage.mesh_points import NUM_POINTS
from reage.nets.agetransgan import load_generator
from reage.nets.agetransgan_config import cpu, tiny
from reage.nets.runtime import open_session
from reage.training.agetransgan import train as training
from reage.training.agetransgan.dataset import AgeTransGanDataset, PhotoBatch
from reage.training.agetransgan.losses import published_weights
from reage.training.agetransgan.model import AgeTransGan
from reage.training.agetransgan.train import (
    STAGES,
    AgeTransGanTrainingConfig,
    agetransgan,
    agetransgan_mi,
    load_identify,
    run,
    to_stored_config,
    train_agetransgan,
)
from reage.training.cross_age import CrossAgeDataset
from reage.training.export import export
from reage.training.runner import RunContext, save_arrays
from reage.training.trainer import TrainerConfig
from reage.types import CompletePlan, Face, Reading
from reage.weights import save_weights

STEPS = TrainerConfig(steps=3, batch_size=4, weight_decay=0.0, bf16=False)


def shorten(config: AgeTransGanTrainingConfig, trainer: TrainerConfig = STEPS) -> AgeTransGanTrainingConfig:
    """A run of tiny nets and few steps, without the losses of large frozen nets."""
    stages = {}
    for name in STAGES:
        stage = getattr(config, name)
        weights = replace(stage.weights, perceptual=0.0, identity=0.0, age=0.0)
        stages[name] = replace(stage, trainer=trainer, weights=weights)
    return replace(config, net=tiny(), **stages)


def embed(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


CONFIG = shorten(agetransgan_mi())


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_stopped_in_any_stage_goes_on_from_there(stage: str, dataset: AgeTransGanDataset, tmp_path: Path) -> None:
    every = replace(STEPS, checkpoint_seconds=0.0)
    config, stop_at = shorten(CONFIG, every), 3 * STAGES.index(stage) + 2
    steps: list[int] = []

    def stop_once(step: int, losses: Mapping[str, float], ema: nn.Module) -> None:
        steps.append(step)
        if steps == list(range(1, stop_at + 1)):
            raise KeyboardInterrupt

    checkpoint = tmp_path / "agetransgan.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_agetransgan(config, dataset, checkpoint, [stop_once], embed)
    assert [path.name for path in tmp_path.iterdir()] == [f"agetransgan.{stage}"]
    resumed = train_agetransgan(config, dataset, checkpoint, [stop_once], embed)
    assert steps == [*range(1, stop_at + 1), *range(stop_at, 10)]
    assert list(tmp_path.iterdir()) == []
    straight = train_agetransgan(config, dataset, embed=embed)
    for mine, other in zip(resumed.parameters(), straight.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_the_third_stage_differs_by_its_loss_alone(dataset: AgeTransGanDataset) -> None:
    parts: list[set[str]] = []
    for weight in (0.0, 10.0):
        config = shorten(agetransgan_mi(weight, seed=2))
        found: list[dict[str, float]] = []
        note = [lambda step, losses, ema, found=found: found.append(losses)]
        train_agetransgan(config, dataset, callbacks=note, embed=embed)
        parts.append(set(found[-1]) - {"r1"})
    assert parts[1] - parts[0] == {"mutual_identity"}
    plain, with_loss = agetransgan_mi(0.0, steps=7), agetransgan_mi(steps=7)
    assert plain.mutual.trainer == with_loss.mutual.trainer
    assert with_loss.mutual.weights.mutual_identity == 10
    assert with_loss.mutual.trainer.steps == 7
    assert agetransgan().mutual.trainer.steps == 0


def test_the_third_stage_learns_from_turned_faces(dataset: AgeTransGanDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    turned, seen = copy.copy(dataset), []
    stage = training.train_stage

    def note(config: object, name: str, net: object, faces: object, *rest: object) -> None:
        seen.append((name, faces is turned))
        stage(config, name, net, faces, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train_stage", note)
    train_agetransgan(CONFIG, dataset, embed=embed, turned=turned)
    assert seen == [("teach", False), ("refine", False), ("mutual", True)]


def test_pictures_in_other_proportions_do_not_count_as_restored_photos(net: AgeTransGan) -> None:
    """What is judged beside the aged pictures are restored photos in their own proportions."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
    labels = torch.eye(10)[[5, 6, 7, 8]]
    batch = PhotoBatch(
        x=x, y=x, own=x, moved=torch.tensor([True, False, True, True]), labels=labels, target_labels=labels.flip(0),
        target_years=torch.tensor([80.0, 40.0, 30.0, 25.0]), real_labels=labels,
    )  # fmt: skip
    judged: list[int] = []
    net.discriminator.register_forward_hook(lambda _, given, __: judged.append(len(given[0])))
    weights = replace(published_weights(), identity=0.0, r1=0.0)
    net.adversarial_loss(batch, weights, generator)
    assert sorted(judged) == [1, 1, 4, 4, 4]


def test_a_given_embedding_is_what_the_third_stage_compares(dataset: AgeTransGanDataset) -> None:
    seen: list[int] = []

    def note(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return embed(x)

    train_agetransgan(CONFIG, dataset, embed=note)
    assert seen == [4, 4] * 3


def test_identity_features_of_a_picture_are_those_of_the_face(face: Face) -> None:
    """The chip is cut where dlib's own alignment cuts it."""
    identify = load_identify(cpu().generator, torch.device("cpu"))
    with torch.inference_mode():
        mine = identify(to_net(cut_picture(face.crop, cpu().generator)))[0].numpy()
    theirs = DlibRecognizer.load().embed(face.crop, face.to_crop(face.landmarks))
    assert np.linalg.norm(mine - theirs) < 0.35


def test_the_recipe_makes_an_engine(
    stored: CrossAgeDataset,
    make_portrait: Callable,
    to_columns: Callable,
    face: Face,
    reading: Reading,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def make(portraits: object, **_: object) -> CrossAgeDataset:
        made.append(len(portraits))
        return stored

    monkeypatch.setattr(training, "make_cross_age_dataset", make)
    portraits = to_columns([make_portrait(face.crop, person=person) for person in ("P0", "P1")])
    portraits = replace(portraits, split=np.array(["train", "train"]))
    config, context = replace(CONFIG, turned_faces=2), RunContext(checkpoint=tmp_path / "mine.checkpoint")
    tensors, stored_config = run(config, portraits, context)
    assert made[0] == 2
    assert stored_config == to_stored_config(config, np.zeros((NUM_POINTS, 3), np.float32))
    save_weights(tmp_path / "mine.safetensors", tensors, {**stored_config, "name": "agetransgan"})
    path = export(tmp_path / "mine.safetensors", tmp_path / "mine.onnx")
    engine = load_engine("agetransgan", weights=path)
    aged = engine.render(face, reading, CompletePlan(age=70, age_from=38))
    assert aged.crop.shape == face.crop.shape
    assert (aged.gains[0].log_ratio != 0).any()


def test_the_file_gives_the_pictures_that_the_net_gives(dataset: AgeTransGanDataset, tmp_path: Path) -> None:
    net = train_agetransgan(CONFIG, dataset, embed=embed)
    save_weights(
        tmp_path / "mine.safetensors",
        net.generator.state_dict(),
        {**to_stored_config(CONFIG, np.zeros((NUM_POINTS, 3), np.float32)), "name": "agetransgan"},
    )
    session = open_session(export(tmp_path / "mine.safetensors", tmp_path / "mine.onnx"))
    batch = dataset.sample_paired(3, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load_generator(tmp_path / "mine.safetensors")(batch.x, batch.target_labels).numpy()
    inputs = {"picture": batch.x.contiguous().numpy(), "label": batch.target_labels.numpy()}
    np.testing.assert_allclose(session.run(["aged"], inputs)[0], expected, atol=1e-4)


def test_the_recipe_names_the_shipped_configuration() -> None:
    assert agetransgan() == AgeTransGanTrainingConfig()
    assert asdict(agetransgan())["refine"]["weights"]["r1"] == 10


LAUNCHED = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from reage.nets.agetransgan_config import tiny
from reage.training.agetransgan.dataset import AgeTransGanDataset
from reage.training.agetransgan.losses import LossWeights
from reage.training.agetransgan.train import STAGES, agetransgan_mi, train_agetransgan
from reage.training.cross_age import CrossAgeDataset
from reage.training.runner import load_arrays
from reage.training.trainer import TrainerConfig, process_state

torch.set_num_threads(1)
steps = TrainerConfig(steps=2, batch_size=8, weight_decay=0.0, bf16=False)
weights = LossWeights(reconstruction=10.0, adversarial=1.0, age_class=1.0, cycle=1.0, triplet=0.1, r1=0.0)
config = agetransgan_mi()
stages = {name: replace(getattr(config, name), trainer=steps, weights=weights) for name in STAGES}
config = replace(config, net=tiny(), **stages)
losses = []
dataset = AgeTransGanDataset(load_arrays(Path(sys.argv[1]), CrossAgeDataset), config.net.generator)
net = train_agetransgan(config, dataset, callbacks=[lambda step, values, ema: losses.append(values["loss"])])
if process_state().is_main_process:
    print(process_state().num_processes, *losses, next(net.generator.parameters()).abs().sum().item())
"""


def test_two_processes_train_as_one(stored: CrossAgeDataset, tmp_path: Path, check_two_train_as_one: Callable) -> None:
    """Each has half the batch, and the losses and weights are those of one process with all of it."""
    save_arrays(tmp_path / "cross_age.npz", stored)
    check_two_train_as_one(LAUNCHED, tmp_path / "cross_age.npz")
