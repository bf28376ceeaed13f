"""Runs of both stages: resumed, repeated, logged, and shared by two processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from reage.images import load_image
from reage.nets.amgan_config import tiny
from reage.training.amgan.calibration import MAX_ZONE_GAIN, measure_zone_gains
from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.amgan.losses import finetune_loss_weights
from reage.training.amgan.model import Amgan
from reage.training.amgan.samples import AGES as SHEET_AGES
from reage.training.amgan.samples import NUM_FACES, log_samples
from reage.training.amgan.train import AmganTrainingConfig, amgan, to_stored_config, train_amgan
from reage.training.runner import save_arrays
from reage.training.skin_changes import SkinChangeDataset
from reage.training.trainer import TrainerConfig
from reage.zones import ZONES

STEPS = TrainerConfig(steps=2, batch_size=2, weight_decay=0.0, bf16=False, checkpoint_seconds=0.0)
CONFIG = AmganTrainingConfig(
    net=tiny(), distill=STEPS, finetune=replace(STEPS, steps=3), dataset=AmganDatasetConfig(patch_px=128)
)


@pytest.fixture(scope="module")
def trained(dataset: AmganDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Amgan, Path, list]:
    """Nets after both stages, the folder with the checkpoint and the log, and what the steps told."""
    folder, steps = tmp_path_factory.mktemp("run"), []
    callbacks = log_samples(folder / "log", dataset, steps_per_sheet=2)
    callbacks.append(lambda step, losses, ema: steps.append((step, set(losses))))
    return train_amgan(CONFIG, dataset, folder / "amgan.checkpoint", callbacks), folder, steps


def test_a_run_tells_its_losses_and_draws_sheets(trained: tuple[Amgan, Path, list]) -> None:
    _, folder, steps = trained
    assert [step for step, _ in steps] == [1, 2, 3, 4, 5]
    first, second = steps[0][1], steps[2][1]
    assert first == {"reconstruction", "detail", "texture", "chroma", "low_frequency", "perceptual", "loss"}
    assert second > first | {"adversarial", "aging_map", "location", "cycle", "age", "zone_scores", "shade", "critic"}
    assert {path.name for path in folder.rglob("*.jpg")} == {"sheet-2.jpg", "sheet-4.jpg"}
    sheet = load_image(folder / "log" / "sheet-4.jpg").pixels
    assert sheet.shape == (NUM_FACES * 64, (1 + len(SHEET_AGES)) * 64, 3)
    assert [path.name for path in folder.iterdir()] == ["log"]


def test_a_run_stopped_in_its_second_stage_ends_as_one_that_was_not(
    trained: tuple[Amgan, Path, list], dataset: AmganDataset, tmp_path: Path
) -> None:
    steps: list[int] = []

    def stop_at_four(step: int, losses: Mapping[str, float], ema: nn.Module) -> None:
        steps.append(step)
        if steps.count(4) == 1 and step == 4:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "amgan.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_amgan(CONFIG, dataset, checkpoint, [stop_at_four])
    assert [path.name for path in tmp_path.iterdir()] == ["amgan.finetune"]
    resumed = train_amgan(CONFIG, dataset, checkpoint, [stop_at_four])
    assert steps == [1, 2, 3, 4, 4, 5]
    for mine, other in zip(resumed.generator.parameters(), trained[0].generator.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_gains_are_measured_and_stored(trained: tuple[Amgan, Path, list], dataset: AmganDataset) -> None:
    gains = measure_zone_gains(trained[0], dataset, num_faces=2)
    assert len(gains) == len(ZONES)
    assert all(1 <= gain <= MAX_ZONE_GAIN for gain in gains)
    assert gains[ZONES.index("nasolabial.left")] == gains[ZONES.index("nasolabial.right")]
    stored = to_stored_config(CONFIG, gains, 1.2)
    sizes = {"widths": (4, 8, 8), "num_blocks": 1, "hidden": 4}
    assert stored["net"] == {**sizes, "zone_gains": gains, "older_gain": 1.2}


def test_the_recipe_names_the_shipped_configuration() -> None:
    assert amgan() == AmganTrainingConfig()
    assert amgan().finetune_losses == finetune_loss_weights()


LAUNCHED = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from reage.nets.amgan_config import tiny
from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.amgan.train import AmganTrainingConfig, train_amgan
from reage.training.skin_changes import SkinChangeDataset
from reage.training.runner import load_arrays
from reage.training.trainer import TrainerConfig, process_state

torch.set_num_threads(1)
steps = TrainerConfig(steps=2, batch_size=4, weight_decay=0.0, bf16=False)
config = AmganTrainingConfig(
    net=tiny(), distill=steps, finetune=replace(steps, steps=0), dataset=AmganDatasetConfig(patch_px=128)
)
losses = []
dataset = AmganDataset(load_arrays(Path(sys.argv[1]), SkinChangeDataset), config.dataset)
net = train_amgan(config, dataset, callbacks=[lambda step, values, ema: losses.append(values["loss"])])
if process_state().is_main_process:
    print(process_state().num_processes, *losses, next(net.generator.parameters()).abs().sum().item())
"""


def test_two_processes_train_as_one(
    skin_changes: SkinChangeDataset, tmp_path: Path, check_two_train_as_one: Callable
) -> None:
    """Each has half the batch, and the losses and weights are those of one process with all of it."""
    save_arrays(tmp_path / "changes.npz", skin_changes)
    check_two_train_as_one(LAUNCHED, tmp_path / "changes.npz")
