"""The log of an AMGAN run: its losses, and sheets of a few training faces at several ages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from reage.images.tensors import from_net
from reage.training.amgan.dataset import AmganDataset
from reage.training.amgan.model import Amgan, see_in_crops
from reage.training.logger import STEPS_PER_RECORD, TrainingLogger
from reage.training.trainer import Callback, local_batch
from reage.types import Pixels

AGES = (25.0, 45.0, 65.0, 80.0)
NUM_FACES = 6
STEPS_PER_SHEET = 250


def log_samples(log_dir: Path | None, dataset: AmganDataset, steps_per_sheet: int = STEPS_PER_SHEET) -> list[Callback]:
    """The callbacks of `reage.training.amgan.train.train_amgan` that log losses and sheets.

    Each record holds the mean of every loss over the steps since the last record. The log is opened at the first step:
    only then is it known where a resumed run continues.

    Args:
        log_dir: folder of the log; None for no log and no callback.
        dataset: of the faces that a sheet shows.
        steps_per_sheet: number of steps between two sheets.
    """
    if log_dir is None:
        return []
    logger: TrainingLogger | None = None
    since_record: dict[str, list[float]] = {}

    def callback(step: int, losses: Mapping[str, float], ema: nn.Module) -> None:
        nonlocal logger
        logger = logger or TrainingLogger(log_dir, first_step=step)
        for name, value in losses.items():
            since_record.setdefault(name, []).append(value)
        if step % STEPS_PER_RECORD == 0:
            logger.log(step, {name: float(np.mean(values)) for name, values in since_record.items()})
            since_record.clear()
        if step % steps_per_sheet == 0:
            assert isinstance(ema, Amgan)
            logger.log_picture(step, "sheet", draw_sheet(ema, dataset))

    return [callback]


@torch.no_grad()
def draw_sheet(net: Amgan, dataset: AmganDataset) -> Pixels:
    """A row for each of `NUM_FACES` faces of the dataset: as it is, then at `AGES`."""
    rows = torch.linspace(0, len(dataset) - 1, NUM_FACES).long()
    device = next(net.parameters()).device
    columns = []
    for age in AGES:
        faces = local_batch(dataset.request_age(rows, age), device)
        _, change = net.age(faces.x, faces.planes, faces.usable)
        columns.append(see_in_crops(faces, change))
    columns.insert(0, faces.crops)
    return np.concatenate([np.concatenate(list(from_net(column)), 0) for column in columns], 1)
