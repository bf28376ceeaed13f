"""KID and FID by hand, and beside those of torchmetrics."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from reage.errors import WeightsError
from reage.evaluation.metrics.distribution import Inception, frechet_distance, kernel_distance, squared_discrepancy


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(120, 16)), rng.normal(0.3, 1.2, size=(150, 16))


class Rows(torch.nn.Module):
    """Hands features on as they are."""

    num_features = 16

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows


# Kernel distance


def test_discrepancy_by_hand() -> None:
    # one feature, kernel (ab + 1)**3: within {0, 1} and {1, 2} the pairs give 1 and 27; across 1, 1, 8, 27, mean 9.25
    first, second = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert squared_discrepancy(first, second) == pytest.approx(1 + 27 - 2 * 9.25)


def test_discrepancy_is_that_of_torchmetrics(sets: tuple[np.ndarray, np.ndarray]) -> None:
    real, aged = sets[0], sets[1][:120]
    expected = float(poly_mmd(torch.from_numpy(real), torch.from_numpy(aged)))
    assert squared_discrepancy(real, aged) == pytest.approx(expected, rel=1e-9)


def test_subsets_average_to_the_whole(sets: tuple[np.ndarray, np.ndarray]) -> None:
    distance = kernel_distance(*sets)
    assert (distance.num_subsets, distance.subset_size) == (100, 60)
    assert distance.mean == pytest.approx(squared_discrepancy(*sets), abs=4 * distance.std / 10)
    assert distance.std > 0


def test_one_subset_of_all_rows_is_the_whole(sets: tuple[np.ndarray, np.ndarray]) -> None:
    real, aged = sets[0], sets[1][:120]
    distance = kernel_distance(real, aged, num_subsets=3, subset_size=120)
    assert distance.mean == pytest.approx(squared_discrepancy(real, aged))
    assert distance.std == pytest.approx(0, abs=1e-12)


def test_kernel_distance_of_one_kind_is_about_zero_and_unbiased() -> None:
    rng = np.random.default_rng(1)
    drawn = [squared_discrepancy(rng.normal(size=(20, 4)), rng.normal(size=(20, 4))) for _ in range(400)]
    assert min(drawn) < 0 < max(drawn)
    assert np.mean(drawn) == pytest.approx(0, abs=4 * np.std(drawn) / 20)


def test_kernel_distance_repeats_for_a_seed(sets: tuple[np.ndarray, np.ndarray]) -> None:
    assert kernel_distance(*sets, num_subsets=5) == kernel_distance(*sets, num_subsets=5)
    assert kernel_distance(*sets, num_subsets=5) != kernel_distance(*sets, num_subsets=5, seed=1)


@pytest.mark.parametrize(("rows", "size"), [(4, 2), (101, 50), (400, 100), (999, 100), (1000, 1000)])
def test_subset_size(rows: int, size: int) -> None:
    features = np.random.default_rng(0).normal(size=(rows, 2))
    assert kernel_distance(features, features, num_subsets=1).subset_size == size


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_few_rows_resolve_nothing(rows: int, sets: tuple[np.ndarray, np.ndarray]) -> None:
    assert math.isnan(kernel_distance(sets[0][:rows], sets[1]).mean)
    if rows < 2:
        assert math.isnan(squared_discrepancy(sets[0][:rows], sets[1]))
        assert math.isnan(frechet_distance(sets[0][:rows], sets[1]))


# Fréchet distance


def test_frechet_distance_by_hand() -> None:
    # means 0 and 3, variances 2 and 8 in one dimension: 9 + 2 + 8 - 2 * 4
    assert frechet_distance(np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])) == pytest.approx(11)


def test_frechet_distance_is_that_of_torchmetrics(sets: tuple[np.ndarray, np.ndarray]) -> None:
    fid = FrechetInceptionDistance(feature=Rows())
    for rows, real in zip(sets, (True, False), strict=True):
        fid.update(torch.from_numpy(rows), real=real)
    assert frechet_distance(*sets) == pytest.approx(float(fid.compute()), rel=1e-6)


def test_frechet_distance_of_a_set_to_itself_and_to_a_shifted_one(sets: tuple[np.ndarray, np.ndarray]) -> None:
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(sets[0], sets[0] + 0.5) == pytest.approx(16 * 0.25)
    assert frechet_distance(*sets) == pytest.approx(frechet_distance(sets[1], sets[0]))


def test_frechet_distance_of_fewer_rows_than_features() -> None:
    rng = np.random.default_rng(2)
    real, aged = rng.normal(size=(10, 64)), rng.normal(size=(14, 64))
    small = frechet_distance(real, aged)
    turned = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    assert small == pytest.approx(frechet_distance(real @ turned, aged @ turned))
    assert small > frechet_distance(rng.normal(size=(4000, 64)), rng.normal(size=(4000, 64)))


# Inception


class Means(torch.nn.Module):
    """Mean colour, to stand for a large net."""

    def forward(self, pixels: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        means = pixels.float().mean((2, 3))
        return means if return_features else means.softmax(1)


def test_inception_comes_as_torchscript(tmp_path: Path) -> None:
    torch.jit.script(Means()).save(str(tmp_path / "means.pt"))
    inception = Inception.load(tmp_path / "means.pt")
    crops = np.zeros((2, 40, 40, 3), np.uint8)
    crops[1, ..., 2] = 50
    assert inception.name == "means"
    np.testing.assert_allclose(inception.features(crops), [[0, 0, 0], [0, 0, 50]])


def test_other_files_are_no_inception(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no file"):
        Inception.load(tmp_path / "no.pt")
    (tmp_path / "no.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no TorchScript file"):
        Inception.load(tmp_path / "no.pt")
