"""A run of the recipe at tiny size, up to the ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.faces.expression_transfer import ExpressionTransfer
from reage.nets.landmark_transfer import LandmarkTransferConfig
from reage.training.export import export
from reage.training.landmark_transfer.train import landmark_transfer, run
from reage.training.runner import RunContext
from reage.training.trainer import TrainerConfig
from reage.types import Face, Plane
from reage.weights import save_weights


@pytest.fixture(scope="module")
def portraits(
    face: Face,
    mesh: Plane,
    make_portrait: Callable[..., Portrait],
    to_columns: Callable[[Sequence[Portrait]], Portraits],
) -> Portraits:
    """Three people with four expressions each: jaws that open."""
    people = [person for number in range(30) if split_of(person := f"P{number}") == "train"][:3]
    rows = []
    for number, person in enumerate(people):
        for opening in range(4):
            portrait = make_portrait(face.crop, person=person)
            moved = portrait.mesh.copy()
            moved[[14, 87, 317, 178, 402, 17, 84, 314, 181, 405, 152, 148, 377], 1] += 10 * opening
            moved[:, 0] *= 1 + 0.03 * number
            rows.append(replace(portrait, mesh=moved.astype(np.float32)))
    return to_columns(rows)


def test_a_run_gives_weights_that_open_a_jaw(portraits: Portraits, mesh: Plane, tmp_path: Path) -> None:
    config = replace(
        landmark_transfer(),
        min_pictures=4,
        max_degrees=40.0,
        net=LandmarkTransferConfig(num_shapes=6, num_offsets=3, width=16, code=4),
        trainer=TrainerConfig(steps=5, batch_size=8, bf16=False),
    )
    tensors, stored = run(config, portraits, RunContext(checkpoint=tmp_path / "run.checkpoint"))
    assert "jawOpen" in stored["blend_shapes"]
    save_weights(tmp_path / "mine.safetensors", tensors, {**stored, "name": "landmark-transfer"})
    path = export(tmp_path / "mine.safetensors", tmp_path / "mine.onnx")
    transfer = ExpressionTransfer.load(path)
    assert "jawOpen" in transfer.known
    np.testing.assert_allclose(transfer.move(mesh, driver=mesh), mesh, atol=0.1)
    opened = transfer.move(mesh, scores={"jawOpen": 0.5})
    assert opened[152, 1] > mesh[152, 1] + 1
