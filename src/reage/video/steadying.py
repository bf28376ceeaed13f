"""The One-Euro filter (Casiez, Roussel & Vogel, CHI 2012): it smooths what rests and follows what moves.

Convention: values (T, N, C) of T frames, of any unit; times in seconds, rising.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.images.motion import fit_affine
from reage.types import Matrix, Plane

Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_REACH = 12
"""Frames by which a track is continued at its ends before it is filtered."""


@dataclass(frozen=True, kw_only=True)
class OneEuroConfig:
    """Settings of the filter.

    Args:
        min_cutoff_hz: cutoff frequency of what rests; the lower, the steadier.
        beta: Hz by which the cutoff rises for each unit a second; the higher, the less what moves lags behind.
        speed_cutoff_hz: cutoff frequency of the speed itself.
    """

    min_cutoff_hz: float = 3.0
    beta: float = 20.0
    speed_cutoff_hz: float = 2.0


class OneEuroFilter:
    """The filter for values that come one after the other.

    Args:
        config: its settings.

    Example:
        >>> steady = OneEuroFilter()
        >>> float(steady(np.zeros(1), 0.0)[0]), float(steady(np.ones(1), 0.04)[0]) > 0.8
        (0.0, True)
    """

    def __init__(self, config: OneEuroConfig = OneEuroConfig()) -> None:
        self.config = config
        self._value: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | None = None
        self._seconds = 0.0

    def __call__(self, value: NDArray[np.float64], seconds: float, move: Move | None = None) -> NDArray[np.float64]:
        """The filtered value (...) at a time that is later than the one before.

        Args:
            value: as measured.
            seconds: its time.
            move: takes the filtered value of before to where it is expected now; None where it is expected to rest.
        """
        value = np.array(value, np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._seconds = value, np.zeros_like(value), seconds
            return value
        step = max(seconds - self._seconds, 1e-4)
        expected = self._value if move is None else move(self._value)
        speed = (value - expected) / step
        steady_speed = self._speed + _share(self.config.speed_cutoff_hz, step) * (speed - self._speed)
        cutoff = self.config.min_cutoff_hz + self.config.beta * np.abs(steady_speed)
        steady: NDArray[np.float64] = expected + _share(cutoff, step) * (value - expected)
        self._value, self._speed, self._seconds = steady, steady_speed, seconds
        return steady


def _share(cutoff_hz: NDArray[np.float64] | float, step_seconds: float) -> NDArray[np.float64]:
    rise = 2 * math.pi * np.asarray(cutoff_hz) * step_seconds
    return np.asarray(rise / (rise + 1), np.float64)


def smooth_mesh(
    meshes: Plane,
    seconds: NDArray[np.floating],
    steps: NDArray[np.floating],
    config: OneEuroConfig = OneEuroConfig(min_cutoff_hz=1.5, beta=4.0),
) -> Plane:
    """The meshes of a track, steadied: they move as the skin does, and what they differ by from that is filtered.

    Args:
        meshes: (T, 478, 3) px of the picture.
        seconds: (T,).
        steps: (T, 2, 3) matrix by which the skin moved from the frame before, px; the first means nothing.
        config: of the filter, whose unit is the height of the face.
    """
    if len(meshes) < 2:
        return meshes.astype(np.float32)
    height = max(float(np.median(np.ptp(meshes[..., 1], axis=1))), 1.0)
    track = _Extended(meshes, np.asarray(seconds, np.float64), np.asarray(steps, np.float64))
    steady = np.empty(meshes.shape, np.float32)
    for forwards in (True, False):
        filtered, before = OneEuroFilter(config), None
        for index in track.indices if forwards else track.indices[::-1]:
            matrix: Matrix | None = None if before is None else track.step(before, index)
            mesh = filtered(track.mesh(index) / height, track.seconds(index, forwards), _in_heights(matrix, height))
            if 0 <= index < len(meshes):
                steady[index] = mesh * height if forwards else (steady[index] + mesh * height) / 2
            before = index
    return steady


def _in_heights(matrix: Matrix | None, height: float) -> Move | None:
    """A matrix of px as a movement of values in heights of the face."""
    if matrix is None:
        return None
    return lambda before: geometry.move_points(before * height, matrix).astype(np.float64) / height


@dataclass(frozen=True)
class _Extended:
    """A track that goes on at both ends as it moved there, so that the filter has settled at the ends.

    Args:
        meshes: (T, 478, 3).
        times: (T,).
        steps: (T, 2, 3).
    """

    meshes: Plane
    times: NDArray[np.float64]
    steps: NDArray[np.float64]

    @property
    def indices(self) -> range:
        """Numbers of its frames, also before 0 and after the last."""
        reach = min(_REACH, len(self.meshes) - 1)
        return range(-reach, len(self.meshes) + reach)

    def mesh(self, index: int) -> NDArray[np.float64]:
        """(478, 3) of a frame."""
        return self._go_on(self.meshes, index)

    def seconds(self, index: int, forwards: bool) -> float:
        """Time of a frame, rising in the direction."""
        return float(self._go_on(self.times, index)) * (1 if forwards else -1)

    def step(self, index: int, after: int) -> Matrix:
        """The matrix from a frame to the one beside it."""
        later = max(index, after)
        if 0 < later < len(self.steps):
            return self.steps[later] if after > index else geometry.invert(self.steps[later])
        return fit_affine(self.mesh(index)[:, :2], self.mesh(after)[:, :2])

    def _go_on(self, values: NDArray[Any], index: int) -> NDArray[np.float64]:
        last = len(values) - 1
        if 0 <= index <= last:
            return np.asarray(values[index], np.float64)
        end = 0 if index < 0 else last
        return 2 * np.asarray(values[end], np.float64) - values[2 * end - index]
