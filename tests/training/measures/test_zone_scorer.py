"""Fit of the zone scorers, on synthetic features and on variants of the demo face."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.evaluation.metrics.statistics import rank_correlation
from reage.faces.segmentation import Segmentation
from reage.faces.skin_features import make_skin_view
from reage.faces.zone_scorer import TONES, ZoneScorer, ZoneScorerConfig, score_zones, zone_ages
from reage.training.measures.zone_report import PERTURBATIONS, judge_zones
from reage.training.measures.zone_scorer import (
    Parse,
    degrade,
    extract_features,
    fit_tensors,
    fit_zone_scorer,
    isotonic_regression,
    local_mean,
    portrait_weights,
    quantiles_by_tone,
    typical_scores,
    weighted_quantiles,
    zones_a,
    zones_b,
)
from reage.types import Face, Pixels, Plane
from reage.zones import TYPICAL_AGES, ZONES

MakePortrait = Callable[..., Portrait]
ToColumns = Callable[[Sequence[Portrait]], Portraits]


@pytest.fixture(scope="module")
def crowd(make_portrait: MakePortrait, to_columns: ToColumns) -> Portraits:
    small = np.zeros((8, 8, 3), np.uint8)
    return to_columns([make_portrait(small, person=f"P{n}", age_years=25 + n % 55, side_px=8) for n in range(240)])


@pytest.fixture(scope="module")
def parse(face: Face) -> Parse:
    """The segmentation of the demo face, whatever is done to its crop of 256 px."""
    skin, bare, hair = (np.ascontiguousarray(mask[::2, ::2]) for mask in (face.skin, face.bare, face.hair))
    return lambda crop, mesh: Segmentation(skin=skin, bare=bare, hair=hair)


def make_features(ages: np.ndarray, seed: int) -> np.ndarray:
    """(2, N, Z, 30): the first two features rise with age, the others are noise."""
    features = np.random.default_rng(seed).normal(0, 1, (2, len(ages), len(ZONES), 30))
    features[..., :2] += ((ages - 50) / 10)[None, :, None, None]
    return features


def test_scores_rise_with_age_and_are_spread_evenly(crowd: Portraits) -> None:
    ages = crowd.age_years.astype(float)
    config = replace(zones_a(), num_waves=128)
    tensors = fit_tensors(config, make_features(ages, 0)[..., :24], np.zeros(len(ages), int), crowd)
    new = make_features(ages, 1)[0, ..., :24]
    predicted = zone_ages(new, tensors, config.family)
    scores = score_zones(new[..., 0], predicted, np.zeros(len(ages), int), tensors)
    assert all(rank_correlation(scores[:, zone], ages) > 0.7 for zone in range(len(ZONES)))
    assert scores.mean() == pytest.approx(0.5, abs=0.05)
    assert scores.std() == pytest.approx(np.sqrt(1 / 12), abs=0.06)
    np.testing.assert_array_equal((tensors["wrinkle_shares"] > 0) & (tensors["wrinkle_shares"] < 1), True)


def test_overfitted_ages_get_no_weight(crowd: Portraits) -> None:
    """Ages fitted to noise fit their own people well; out of fold they are no better than the wrinkle term."""
    ages = crowd.age_years.astype(float)
    noise = np.random.default_rng(0).normal(0, 1, (2, len(ages), len(ZONES), 24))
    config = replace(zones_a(), num_waves=256, ridge=1e-3)
    tensors = fit_tensors(config, noise, np.zeros(len(ages), int), crowd)
    learned = zone_ages(noise[0], tensors, config.family)
    assert np.mean([rank_correlation(learned[:, zone], ages) for zone in range(len(ZONES))]) > 0.4
    assert tensors["wrinkle_shares"].mean() > 0.2


def test_groups_are_compared_at_the_same_ages(crowd: Portraits) -> None:
    tones = (crowd.age_years > 50).astype(int) * (np.arange(len(crowd)) % 3 > 0)
    weights = portrait_weights(crowd, tones)
    decades = np.clip(crowd.age_years // 10, 3, 7)
    old, rest = (np.average(decades[tones == tone] > 5, weights=weights[tones == tone]) for tone in (1, 0))
    plain = (decades[tones == 1] > 5).mean() - (decades[tones == 0] > 5).mean()
    assert abs(old - rest) < abs(plain)
    assert (weights > 0).all()


def test_a_person_counts_once(crowd: Portraits) -> None:
    doubled = crowd.pick(np.r_[0, np.arange(200)])
    weights = portrait_weights(doubled, np.zeros(201, int))
    assert weights[0] == weights[1] == pytest.approx(weights[2] / 2)


def test_a_group_without_people_is_compared_with_all() -> None:
    values = np.random.default_rng(0).normal(0, 1, (50, len(ZONES)))
    levels = quantiles_by_tone(values, np.zeros(50, int), np.ones(50))
    assert levels.shape == (len(TONES), len(ZONES), 101)
    np.testing.assert_array_equal(levels[0], levels[2])
    left, right = ZONES.index("under_eye.left"), ZONES.index("under_eye.right")
    np.testing.assert_array_equal(levels[0, left], levels[0, right])


def test_quantiles_follow_the_weights() -> None:
    values = np.arange(100.0)
    assert weighted_quantiles(values, np.ones(100))[50] == pytest.approx(49.5)
    assert weighted_quantiles(values, np.where(values < 50, 3.0, 1.0))[75] == pytest.approx(49.5, abs=1)
    assert (np.diff(weighted_quantiles(values % 3, np.ones(100))) >= 0).all()


def test_typical_scores_follow_age_and_go_on_where_nobody_is() -> None:
    random = np.random.default_rng(0)
    ages = random.uniform(40, 75, 2000)
    scores = 0.1 + 0.01 * (ages - 20)[:, None] + random.normal(0, 0.05, (2000, len(ZONES)))
    typical = typical_scores(scores, ages, np.ones(2000))
    assert typical.shape == (len(ZONES), len(TYPICAL_AGES))
    np.testing.assert_allclose(typical, np.tile(0.1 + 0.01 * (np.array(TYPICAL_AGES) - 20), (len(ZONES), 1)), atol=0.03)


def test_typical_scores_rise_even_where_people_do_not() -> None:
    ages = np.linspace(30, 85, 500)
    typical = typical_scores(np.tile(0.7 - 0.005 * (ages - 30)[:, None], (1, len(ZONES))), ages, np.ones(500))
    assert (np.diff(typical) > 0).all()
    assert 0 < typical.min() < typical.max() < 1


def test_a_local_mean_lies_on_the_line_of_its_neighbours() -> None:
    ages = np.linspace(30, 80, 60)
    assert local_mean(0.3 + 0.01 * ages, ages, np.ones(60), 30) == pytest.approx(0.6)


def test_isotonic_regression_levels_what_falls() -> None:
    np.testing.assert_allclose(isotonic_regression(np.array([1.0, 3, 2, 4, 0])), [1, 2.25, 2.25, 2.25, 2.25])
    np.testing.assert_allclose(isotonic_regression(np.arange(4.0)), np.arange(4))


def test_degradation_repeats_with_its_seed(face: Face) -> None:
    first, again, other = (degrade(face.crop, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert 0 < np.abs(first.astype(int) - face.crop).mean() < 40


@pytest.fixture(scope="module")
def variants(face: Face, make_portrait: MakePortrait, to_columns: ToColumns) -> Portraits:
    """Fourteen people with the demo face in other light, the older the deeper lined."""
    rows = []
    for number in range(14):
        lined = face.crop.astype(np.float32)
        for row in range(270, 340, 9):
            lined[row : row + 2, 150:240] *= 1 - 0.04 * number
        rows.append(make_portrait(lined.astype(np.uint8), person=f"P{number}", age_years=30 + 3 * number))
    return to_columns(rows)


@pytest.mark.parametrize("config", [zones_a(), zones_b()])
def test_a_fit_from_images_is_a_scorer(variants: Portraits, parse: Parse, config) -> None:
    training = variants.pick(variants.split == "train")
    small = replace(config, num_waves=32, folds=2)
    tensors, description = fit_zone_scorer(small, training, parse)
    again, _ = fit_zone_scorer(small, training, parse)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, again[name])
    assert description["num_portraits"] == len(training)
    scorer = ZoneScorer(ZoneScorerConfig(**description["net"]), {n: t.astype(np.float32) for n, t in tensors.items()})
    segmentation = parse(variants.crops[0], variants.mesh[0])
    views = []
    for crop, landmarks in zip(variants.crops[[0, 13]], variants.landmarks[[0, 13]], strict=True):
        views.append(make_skin_view(crop, landmarks, segmentation.bare, segmentation.hair))
    young, old = (scorer.measure_view(view) for view in views)
    assert old["under_eye.left"] > young["under_eye.left"]


def test_each_portrait_is_parsed_with_its_mesh(variants: Portraits, parse: Parse) -> None:
    """For the features once, whatever the crop is degraded to; for the report in every version."""
    parsed: list[tuple[Pixels, Plane]] = []

    def recorded(crop: Pixels, mesh: Plane) -> Segmentation:
        parsed.append((crop, mesh))
        return parse(crop, mesh)

    meshes = variants.mesh + np.arange(len(variants), dtype=np.float32)[:, None, None]
    moved = replace(variants, mesh=meshes)
    few = moved.pick(np.arange(3))
    extract_features(zones_a(), few, recorded)
    np.testing.assert_array_equal([crop for crop, _ in parsed], few.crops)
    np.testing.assert_array_equal([mesh for _, mesh in parsed], few.mesh)
    parsed.clear()
    held_out = moved.pick(moved.split == "val")
    judge_zones(moved, (ZoneScorer.load("zones-a"), ZoneScorer.load("zones-b")), recorded, iter)
    seen = np.array([mesh[0, 0] for _, mesh in parsed])
    assert set(seen.tolist()) == set(held_out.mesh[:, 0, 0].tolist())
    assert len(parsed) > len(held_out) > 0
    plain = [np.flatnonzero(seen == own)[0] for own in held_out.mesh[:, 0, 0]]
    np.testing.assert_array_equal([parsed[place][0] for place in plain], held_out.crops)


def test_both_scorers_are_evaluated_on_held_out_people(variants: Portraits, parse: Parse) -> None:
    held_out = [person for person in variants.person.tolist() if split_of(person) == "val"]
    scorers = ZoneScorer.load("zones-a"), ZoneScorer.load("zones-b")
    reports = judge_zones(variants, scorers, parse, iter)
    for rows in reports:
        assert [row.zone for row in rows] == list(ZONES)
        assert all(row.num <= len(held_out) for row in rows)
        assert all(set(row.mean_changes) == set(PERTURBATIONS) for row in rows)
        assert all(-1 <= row.age_correlation <= 1 for row in rows if row.num)
        assert all(math.isnan(row.age_correlation) and math.isnan(row.agreement) for row in rows if not row.num)
        assert next(row.num for row in rows if row.zone == "forehead") == 0  # hidden by hair in the demo photo
    lip = ZONES.index("upper_lip")
    assert reports[0][lip].agreement == reports[1][lip].agreement
