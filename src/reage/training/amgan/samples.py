"""Watches an AMGAN learn: each loss, and a sheet of a few training faces at several ages, into a journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from reage.images.tensors import from_net
from reage.training.amgan.dataset import AmganDataset
from reage.training.amgan.train import Amgan, AmganTrainingConfig
from reage.training.logger import STEPS_PER_RECORD, TrainingLogger
from reage.types import Pixels

AGES = (25.0, 45.0, 65.0, 80.0)
NUM_FACES = 6


class Watcher:
    """What `reage.training.amgan.train.train_amgan` is to tell its steps.

    Args:
        folder: of the journal.
        recipe: of the run; steps of its second stage are counted on from those of the first.
        deck: of its lessons.
        steps_per_sheet: a sheet is drawn after each so many steps.
    """

    def __init__(
        self, folder: Path, recipe: AmganTrainingConfig, deck: AmganDataset, steps_per_sheet: int = 250
    ) -> None:
        self._folder = folder
        self._steps_before = {"learn": 0, "refine": recipe.learn.steps}
        self._deck = deck
        self._steps_per_sheet = steps_per_sheet
        self._journal: TrainingLogger | None = None
        self._sums: dict[str, list[float]] = {}

    def __call__(self, stage: str, step: int, net: Amgan, mean: nn.Module) -> None:
        """Records the mean of each loss over the last steps, and now and then draws a sheet."""
        step += self._steps_before[stage]
        self._journal = self._journal or TrainingLogger(self._folder, first_step=step)
        for name, value in net.seen.items():
            self._sums.setdefault(name, []).append(value)
        if step % STEPS_PER_RECORD == 0:
            self._journal.record(step, {name: float(np.mean(values)) for name, values in self._sums.items()})
            self._sums.clear()
        if step % self._steps_per_sheet == 0:
            assert isinstance(mean, Amgan)
            self._journal.picture(step, "sheet", draw_sheet(mean, self._deck))


@torch.no_grad()
def draw_sheet(net: Amgan, deck: AmganDataset) -> Pixels:
    """A row for each of a few faces of the deck: as it is, then at `AGES`."""
    rows = torch.linspace(0, len(deck) - 1, NUM_FACES).long()
    device = next(net.parameters()).device
    columns = []
    for age in (None, *AGES):
        x, planes = deck.ask(rows, None if age is None else torch.full((NUM_FACES,), age))
        columns.append(x if age is None else net.generator(x.to(device), planes.to(device)))
    return np.concatenate([np.concatenate(list(from_net(column)), 0) for column in columns], 1)
