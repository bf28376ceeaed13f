"""Identification and verification from scores."""

from __future__ import annotations

import math

import numpy as np

from reage.evaluation.metrics.identification import find_ranks, match_characteristic, split_scores, true_accept_rate

SCORES = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.1], [np.nan] * 3], np.float32)


def test_ranks_count_what_is_as_similar() -> None:
    assert find_ranks(SCORES).tolist() == [1, 2, 4]
    assert find_ranks(np.zeros((3, 3))).tolist() == [3, 3, 3]


def test_a_characteristic_is_the_share_up_to_a_rank() -> None:
    ranks = find_ranks(SCORES)
    assert [match_characteristic(ranks, rank) for rank in (1, 2, 3)] == [1 / 3, 2 / 3, 2 / 3]
    assert math.isnan(match_characteristic(ranks[:0], 1))


def test_scores_are_split_without_missing_ones() -> None:
    genuine, impostors = split_scores(SCORES)
    np.testing.assert_allclose(sorted(genuine), [0.4, 0.9])
    np.testing.assert_allclose(sorted(impostors), [0.1, 0.1, 0.2, 0.5])


def test_a_gallery_may_hold_strangers() -> None:
    scores = np.column_stack([SCORES[:2, :2], [0.95, 0.3]])
    assert find_ranks(scores).tolist() == [2, 2]
    assert len(split_scores(scores)[1]) == 4


def test_accepted_are_those_above_the_impostors() -> None:
    generator = np.random.default_rng(0)
    scores = generator.random((60, 60))
    scores[np.arange(60), np.arange(60)] = np.where(np.arange(60) < 45, 2.0, -1.0)
    assert true_accept_rate(scores, 0.01) == 0.75
    assert math.isnan(true_accept_rate(scores[:5, :5], 0.001))
