"""Does an age estimator that learned from turned faces read such faces better, and how does a reading change with yaw?

`age-a` is fine-tuned twice for the same number of steps, with turned copies of its training faces and without. Both,
and `age-a` as shipped, read held-out faces turned to nine yaws and two pitches.

    python benchmarks/multi_pose_age.py --faces shards/ --write benchmarks/multi_pose_age.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common.markdown import show, to_markdown
from numpy.typing import NDArray
from rich.progress import track

from reage.data.ages import with_taught_ages
from reage.data.shards import Portraits, read_shards
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.nets.age import AgeNet, load_age_net
from reage.training.measures.age_estimator import predict_ages
from reage.training.measures.multi_pose import (
    POSES,
    MultiPoseConfig,
    choose_poses,
    finetune_on_poses,
    turn_portraits,
)
from reage.types import Pixels


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Age estimators on turned faces.")
    parser.add_argument("--faces", type=Path, required=True, help="shards of portraits, crops of 640 px")
    parser.add_argument("--people", type=int, default=150, help="held-out faces that are turned")
    parser.add_argument("--turned", type=int, default=2, help="turned copies of each training face")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    config = MultiPoseConfig()
    portraits = with_taught_ages(read_shards(given.faces), dict(config.age.query_ages))
    training = np.flatnonzero(portraits.split == "train")
    crops, places, _ = turn_portraits(
        portraits.pick(training), choose_poses(given.turned, 0), config.age.crop_px, lambda x: track(x, "turning")
    )
    nets = {
        "age-a": load_age_net("age-a"),
        "fine-tuned on photos": finetune_on_poses(config, portraits, None),
        "fine-tuned on turned faces too": finetune_on_poses(config, portraits, (crops, training[places])),
    }
    held_out = portraits.pick(np.flatnonzero(portraits.split == "val"))
    held_out = held_out.pick(np.linspace(0, len(held_out) - 1, given.people).astype(int))
    turned = turn_portraits(held_out, lambda row: POSES, config.age.crop_px, lambda x: track(x, "turning"))
    rows = [read(name, net, held_out, *turned) for name, net in nets.items()]
    headers = ("estimator", *(f"{yaw:g}, {pitch:g}" for yaw, pitch in POSES), "error", "95 %")
    note = (
        f"{len(held_out)} held-out faces, turned to each yaw and pitch: mean reading less the label, in years; then "
        "the mean absolute error over all poses, with its interval over people."
    )
    show(to_markdown("Age readings of turned faces", note, headers, rows), given.write)


def read(
    name: str,
    net: AgeNet,
    portraits: Portraits,
    crops: Pixels,
    rows: NDArray[np.int64],
    poses: NDArray[np.float64],
) -> list[str]:
    """The cells of an estimator's row, for portraits turned by `turn_portraits`."""
    errors = predict_ages(net, crops)[0] - portraits.age_years[rows]
    biases = [errors[(poses == pose).all(1)].mean() for pose in POSES]
    people = np.unique(rows)
    means = np.array([np.abs(errors[rows == row]).mean() for row in people])
    low, high = bootstrap_interval(means, [str(row) for row in people])
    return [name, *(f"{bias:+.1f}" for bias in biases), f"{np.abs(errors).mean():.2f}", f"{low:.2f} to {high:.2f}"]


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
