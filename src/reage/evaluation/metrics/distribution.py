"""KID and FID: how far a set of aged faces is from a set of real ones, given a net's features of both.

Name the net beside the number: on the features of the age estimator it is a face-KID; only on Inception pool features
(2048), from weights that the user provides, is it the KID of papers. Numbers from differently resized pictures cannot
be compared.

Convention:
    features float (N, D), one row for each picture, at least 2 rows, else the result is NaN: not resolvable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reage.errors import WeightsError
from reage.images.geometry import resize
from reage.types import Pixels

Values = NDArray[np.floating]

NUM_SUBSETS = 100
SUBSET_SIZE = 1000
SMALL_SUBSET_SIZE = 100

INCEPTION_PX = 299
_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """KID; usually printed times 1000.

    Args:
        mean: over the subsets; about 0, also below, for two sets of one kind.
        std: over the subsets.
        num_subsets: number of subsets drawn.
        subset_size: rows drawn of either set for each subset.
    """

    mean: float
    std: float
    num_subsets: int
    subset_size: int


def kernel_distance(
    real: Values, aged: Values, *, num_subsets: int = NUM_SUBSETS, subset_size: int | None = None, seed: int = 0
) -> KernelDistance:
    """KID: unbiased squared mean discrepancy under the kernel (a.b / D + 1)**3 (Bińkowski et al., ICLR 2018).

    Args:
        real: (N, D).
        aged: (M, D); N and M may differ.
        num_subsets: each drawn anew, without replacement within it.
        subset_size: at most the smaller of N and M; None for 1000, or, if a set is smaller, half its rows, at most 100.
        seed: of the draw.
    """
    smaller = min(len(real), len(aged))
    size = _subset_size(smaller) if subset_size is None else subset_size
    assert size <= smaller, (size, smaller)
    if size < 2:
        return KernelDistance(mean=math.nan, std=math.nan, num_subsets=0, subset_size=size)
    generator = np.random.default_rng(seed)
    distances = [
        squared_discrepancy(*(rows[generator.choice(len(rows), size, replace=False)] for rows in (real, aged)))
        for _ in range(num_subsets)
    ]
    return KernelDistance(
        mean=float(np.mean(distances)), std=float(np.std(distances)), num_subsets=num_subsets, subset_size=size
    )


def squared_discrepancy(first: Values, second: Values) -> float:
    """Unbiased squared maximum mean discrepancy of two whole sets (N, D), (M, D) under KID's kernel; may be below 0."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(first), len(second)) < 2:
        return math.nan
    within = [_mean_off_diagonal(_kernel(rows, rows)) for rows in (first, second)]
    return float(sum(within) - 2 * _kernel(first, second).mean())


def frechet_distance(real: Values, aged: Values) -> float:
    """FID: squared distance of the normal distributions that fit both sets (Heusel et al., NeurIPS 2017); 0 or more.

    It is too large for sets smaller than D: compare only numbers of equal N, and trust `kernel_distance` more.

    Args:
        real: (N, D).
        aged: (M, D).
    """
    if min(len(real), len(aged)) < 2:
        return math.nan
    shift = np.mean(real, 0, dtype=np.float64) - np.mean(aged, 0, dtype=np.float64)
    first, second = _covariance_root(real), _covariance_root(aged)
    # the trace of the root of a product of covariances A'A and B'B is the sum of the singular values of AB'
    common = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    return max(float((shift**2).sum() + (first**2).sum() + (second**2).sum() - 2 * common), 0.0)


def _covariance_root(rows: Values) -> NDArray[np.float64]:
    """(min(N, D), D) R such that R'R is the covariance of the rows (N, D)."""
    centred = np.asarray(rows, np.float64) - np.mean(rows, 0, dtype=np.float64)
    return np.asarray(np.linalg.qr(centred / math.sqrt(len(rows) - 1), mode="r"))


def _subset_size(smaller: int) -> int:
    return SUBSET_SIZE if smaller >= SUBSET_SIZE else min(SMALL_SUBSET_SIZE, smaller // 2)


def _kernel(first: Values, second: Values) -> Values:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _mean_off_diagonal(kernel: Values) -> float:
    num = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (num * (num - 1)))


# Inception


class Inception:
    """A TorchScript file, such as `inception-2015-12-05.pt`: uint8 (N, 3, 299, 299) RGB -> features (N, D).

    Args:
        net: the script.
        name: to print beside its numbers.
    """

    def __init__(self, net: torch.jit.ScriptModule, name: str) -> None:
        self.name = name
        self._net = net
        arguments = [argument.name for argument in net.forward.schema.arguments]  # type: ignore[attr-defined]
        self._options = {"return_features": True} if "return_features" in arguments else {}

    @classmethod
    def load(cls, path: Path) -> Inception:
        """Reads the file.

        Raises:
            WeightsError: when it is missing or no TorchScript file.
        """
        if not path.is_file():
            raise WeightsError(f"There is no file {path}; give a TorchScript file of Inception-v3.")
        try:
            return cls(torch.jit.load(str(path)).eval(), path.stem)
        except (RuntimeError, ValueError) as error:
            raise WeightsError(
                f"{path} is no TorchScript file; give inception-2015-12-05.pt or one like it."
            ) from error

    @torch.inference_mode()
    def features(self, crops: Pixels) -> NDArray[np.float32]:
        """(N, S, S, 3) -> (N, D), the crops resampled without aliasing."""
        small = np.stack([resize(crop, INCEPTION_PX, INCEPTION_PX) for crop in crops]).transpose(0, 3, 1, 2)
        batches = [
            self._net(torch.from_numpy(np.ascontiguousarray(small[start : start + _BATCH])), **self._options)
            for start in range(0, len(small), _BATCH)
        ]
        features: NDArray[np.float32] = torch.cat(batches).flatten(1).float().numpy()
        return features
