"""How near landmark transfer comes to what people really look like: errors of held-out people, by mesh alone.

Each person is given, from each expression, every other one: by their own picture, and by their own picture with the
difference between the shapes of two others added, as if another person had the expression. Beside the net stand the
blend shapes alone, a linear map of the 52 true scores, and the untouched source.

    python benchmarks/landmark_transfer.py shards/                                           the table on the screen
    python benchmarks/landmark_transfer.py shards/ --write benchmarks/landmark_transfer.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown

from reage.data.shards import read_shards
from reage.mesh_points import LIP_OUTLINE, MOUTH_OUTLINE
from reage.nets.runtime import open_session
from reage.training.landmark_transfer.dataset import Shapes, measure_shapes
from reage.training.landmark_transfer.train import landmark_transfer
from reage.types import Plane
from reage.weights import find_weights, load_torch_weights

COLUMNS = ("driver", "made by", "error of all points", "error of the lips")
Move = Callable[[Plane, Plane, Plane], Plane]
"""A face, a driver, and the difference of their scores -> the moved face."""


def load_moves(weights: str) -> dict[str, Move]:
    """Untouched, blend shapes alone, and the net."""
    path = find_weights(weights)
    session, tensors = open_session(path), load_torch_weights(path)[0]
    blend_shapes = tensors["blend_shapes"].numpy()

    def by_net(source: Plane, driver: Plane, change: Plane) -> Plane:
        inputs = {"source": source[None], "driver": driver[None], "change": np.zeros((1, len(change)), np.float32)}
        moved: Plane = session.run(None, inputs)[0][0]
        return moved

    return {
        "untouched": lambda source, driver, change: source,
        "blend shapes": lambda source, driver, change: source + (change @ blend_shapes).reshape(source.shape),
        "net": by_net,
    }


def measure(shapes: Shapes, identities: Plane, move: Move, leak: bool) -> tuple[float, float]:
    """Mean distance of all points and of the lips, x and y, distances of the eyes."""
    lips, generator = [*LIP_OUTLINE, *MOUTH_OUTLINE], np.random.default_rng(0)
    distances = []
    for first in range(len(shapes.faces)):
        for second in np.flatnonzero(shapes.people == shapes.people[first]):
            added = identities[generator.integers(len(identities), size=2)]
            if first == second:
                continue
            driver = shapes.faces[second] + (added[0] - added[1] if leak else 0)
            made = move(shapes.faces[first], driver, shapes.scores[second] - shapes.scores[first])
            distances.append(np.linalg.norm((made - shapes.faces[second])[:, :2], axis=-1))
    errors = np.array(distances)
    return float(errors.mean()), float(errors[:, lips].mean())


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Errors of landmark transfer on held-out people.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--weights", default="landmark-transfer")
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    config, moves = landmark_transfer(), load_moves(options.weights)
    shapes, angles = measure_shapes(read_shards(options.shards, split="val"))
    several = np.bincount(shapes.people)[shapes.people] >= config.min_pictures
    blend_shapes = load_torch_weights(find_weights(options.weights))[0]["blend_shapes"].numpy()
    frontal = shapes.pick(np.abs(angles[:, :2]).max(1) < config.max_degrees)
    identities = frontal.faces - (frontal.scores @ blend_shapes).reshape(frontal.faces.shape)
    rows = []
    for leak, driver in ((False, "the same person"), (True, "with another shape")):
        for name, move in moves.items():
            errors = measure(shapes.pick(several), identities, move, leak)
            rows.append([driver, name, *(f"{error:.4f}" for error in errors)])
    people = len(set(shapes.people[several]))
    title = f"Landmark transfer on {people} held-out people, {int(several.sum())} pictures"
    note = (
        "Mean distance of mesh points from those of the real picture, x and y, without pose, in distances of the eyes."
    )
    show(to_markdown(title, note, COLUMNS, rows), options.write)


if __name__ == "__main__":
    main()
