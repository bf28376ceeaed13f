"""Calibrates a trained AMGAN: factors with which its engine makes up for changes that fall short of what is asked."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.nets.amgan import finer_than
from reage.nets.amgan_config import FOLDS_PER_FACE, LINES_PER_FACE
from reage.training.amgan.dataset import AmganDataset, FaceBatch
from reage.training.amgan.losses import to_luma
from reage.training.amgan.model import Amgan, measure_zone_scores, see_in_crops
from reage.zones import MIRRORED_ZONES, ZONES

NUM_FACES, FACES_AT_ONCE = 48, 8
SOURCE_YEARS = (25.0, 50.0)
OLDER_GAINS = tuple(1 + 0.05 * step for step in range(9))
"""Candidates of `measure_older_gain`; beyond, pores become spots."""

MAX_ZONE_GAIN = 2.5
"""Beyond, artefacts grow faster than the change, and maps are unlike any that the net has learned from."""


@torch.no_grad()
def measure_zone_gains(net: Amgan, dataset: AmganDataset, num_faces: int = NUM_FACES) -> tuple[float, ...]:
    """The gain of each of `ZONES`: the inverse of how much its score rises when it is asked to rise by 1.

    The target scores 0 and 1 are asked of each zone of some training faces, and the zone scorer that the net has
    learned from measures the results.

    Args:
        net: trained.
        dataset: of training people.
        num_faces: most faces that are measured.
    """
    rows = _spread(torch.arange(len(dataset)), num_faces)
    return to_zone_gains(torch.stack([_response(net, dataset, rows, zone) for zone in range(len(ZONES))]).numpy())


def to_zone_gains(responses: NDArray[np.floating]) -> tuple[float, ...]:
    """Mean rises (12,) of zones asked to rise by 1 -> their gains, 1 to `MAX_ZONE_GAIN`, alike on both sides."""
    responses = (responses + responses[list(MIRRORED_ZONES)]) / 2
    return tuple(np.maximum(1 / np.maximum(responses, 1 / MAX_ZONE_GAIN), 1.0).tolist())


def _response(net: Amgan, dataset: AmganDataset, rows: Tensor, zone: int) -> Tensor:
    """Mean rise of a zone's score when its target rises from 0 to 1, over the faces that show it; 1 if none does."""
    rises = []
    for some in rows.split(FACES_AT_ONCE):
        measured = []
        for score in (0.0, 1.0):
            batch = dataset.request_zone(some, zone, score)
            seen = see_in_crops(batch, change_lines(net, batch))
            measured.append(measure_zone_scores(net.zone_scorer, seen, batch)[:, zone])
        rises.append((measured[1] - measured[0])[~batch.scores[:, zone].isnan()])
    found = torch.cat(rises)
    return found.mean() if len(found) else torch.ones(())


@torch.no_grad()
def measure_older_gain(net: Amgan, dataset: AmganDataset, num_faces: int = NUM_FACES) -> float:
    """The factor on lines, one of `OLDER_GAINS`, at which skin made old looks as old as the teacher makes it.

    The age estimator that the net has learned from compares both; light and shade are the teacher's in both.

    Args:
        net: trained.
        dataset: of training people.
        num_faces: most faces.
    """
    rows = _spread(dataset.rows_of_ages(*SOURCE_YEARS), num_faces)
    wanted, estimated = 0.0, np.zeros(len(OLDER_GAINS))
    for some in rows.split(FACES_AT_ONCE):
        batch = dataset.request_teacher(some)
        teacher = batch.teacher_change * batch.usable
        wanted += float(net.estimate_years(see_in_crops(batch, teacher)).sum())
        shade = teacher - finer_than(to_luma(teacher), FOLDS_PER_FACE)
        deeper = [shade + change_lines(net, batch, gain) for gain in OLDER_GAINS]
        estimated += [float(net.estimate_years(see_in_crops(batch, one)).sum()) for one in deeper]
    return min(zip(OLDER_GAINS, estimated, strict=True), key=lambda pair: abs(pair[1] - wanted))[0]


def change_lines(net: Amgan, batch: FaceBatch, older_gain: float = 1.0) -> Tensor:
    """(B, 1, S, S) what `reage.engines.amgan.keep_lines` keeps of the generator's change of whole faces."""
    _, change = net.age(batch.x, batch.planes, batch.usable)
    lines, folds = (finer_than(to_luma(change), parts) for parts in (LINES_PER_FACE, FOLDS_PER_FACE))
    rises = batch.planes[:, :1] > batch.planes[:, 1:2]
    return torch.where(rises, older_gain * lines, folds)


def _spread(rows: Tensor, num: int) -> Tensor:
    """At most `num` of the rows, evenly spaced."""
    return rows[torch.linspace(0, len(rows) - 1, min(num, len(rows))).long()]
