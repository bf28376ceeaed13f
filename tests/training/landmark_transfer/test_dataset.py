"""Shapes without pose, and triplets drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from reage.data.shards import Portrait, Portraits
from reage.errors import ReageError
from reage.faces.common_face import mean_mesh
from reage.faces.expression import EXPRESSIONS
from reage.training.landmark_transfer.dataset import (
    ExpressionPairs,
    Shapes,
    fit_blend_shapes,
    measure_shapes,
    mirror,
    mirrored_scores,
)
from reage.types import Face


def make_shapes(num: int = 6) -> Shapes:
    generator = np.random.default_rng(0)
    faces = mean_mesh()[None, :468] + 0.05 * generator.standard_normal((num, 468, 3))
    scores = generator.random((num, len(EXPRESSIONS)))
    return Shapes(faces.astype(np.float32), scores.astype(np.float32), np.arange(num) // 3)


def test_shapes_have_no_pose(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[[Sequence[Portrait]], Portraits]
) -> None:
    portraits = to_columns([make_portrait(face.crop, person=person) for person in "ABA"])
    shapes, angles = measure_shapes(portraits)
    assert shapes.faces.shape == (3, 468, 3)
    assert shapes.people.tolist() == [0, 1, 0]
    assert np.abs(shapes.faces - mean_mesh()[:468]).mean() < 0.1
    assert shapes.scores[0, EXPRESSIONS.index("mouthSmileLeft")] > 0.5
    assert np.abs(angles).max() < 15


def test_a_mirrored_face_is_another_person_with_its_scores_swapped() -> None:
    shapes = make_shapes()
    both = shapes.with_mirrored()
    assert both.people.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    np.testing.assert_allclose(mirror(mirror(shapes.faces)), shapes.faces)
    left, right = EXPRESSIONS.index("browDownLeft"), EXPRESSIONS.index("browDownRight")
    assert both.scores[6, left] == both.scores[0, right]
    assert sorted(mirrored_scores()) == list(range(len(EXPRESSIONS)))


def test_a_triplet_differs_by_the_expression_and_the_shape_that_is_added() -> None:
    shapes = make_shapes()
    still = ExpressionPairs(shapes, np.repeat(shapes.faces[:1], 2, 0))
    source, driver, target = still.draw(32, torch.Generator().manual_seed(0))
    torch.testing.assert_close(driver, target)
    real = torch.from_numpy(shapes.faces)
    assert all((real - one).abs().amax((1, 2)).min() < 1e-6 for one in source)
    added = ExpressionPairs(shapes, shapes.faces).draw(32, torch.Generator().manual_seed(0))
    assert (added[1] - added[2]).abs().mean() > 0.01


def test_nobody_with_several_expressions_is_refused() -> None:
    shapes = make_shapes()
    with pytest.raises(ReageError, match=r"several expressions.*\.$"):
        ExpressionPairs(shapes.pick(np.zeros(6, bool)), shapes.faces)


def test_blend_shapes_are_found_again() -> None:
    generator = np.random.default_rng(1)
    true = generator.standard_normal((len(EXPRESSIONS), 1404)) * 0.1
    scores = generator.random((200, len(EXPRESSIONS)))
    people = np.arange(200) // 50
    shapes = generator.standard_normal((4, 1404))[people] + scores @ true
    made = fit_blend_shapes(
        Shapes(shapes.reshape(200, 468, 3).astype(np.float32), scores.astype(np.float32), people), 1e-6
    )
    np.testing.assert_allclose(made, true, atol=1e-3)
    damped = fit_blend_shapes(Shapes(shapes.reshape(200, 468, 3), scores, people), 1e3)
    assert np.abs(damped).mean() < 0.1 * np.abs(true).mean()
