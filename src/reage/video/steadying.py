"""The One-Euro filter (Casiez, Roussel & Vogel, CHI 2012): it smooths what rests and follows what moves.

Convention: values (T, N, C) of T frames, of any unit; times in seconds, rising.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reage.types import Plane

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

    def __call__(self, value: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
        """The filtered value (...) at a time that is later than the one before."""
        value = np.array(value, np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._seconds = value, np.zeros_like(value), seconds
            return value
        step = max(seconds - self._seconds, 1e-4)
        speed = (value - self._value) / step
        steady_speed = self._speed + _share(self.config.speed_cutoff_hz, step) * (speed - self._speed)
        cutoff = self.config.min_cutoff_hz + self.config.beta * np.abs(steady_speed)
        steady: NDArray[np.float64] = self._value + _share(cutoff, step) * (value - self._value)
        self._value, self._speed, self._seconds = steady, steady_speed, seconds
        return steady


def _share(cutoff_hz: NDArray[np.float64] | float, step_seconds: float) -> NDArray[np.float64]:
    rise = 2 * math.pi * np.asarray(cutoff_hz) * step_seconds
    return np.asarray(rise / (rise + 1), np.float64)


def smooth(
    values: NDArray[np.floating], seconds: NDArray[np.floating], config: OneEuroConfig = OneEuroConfig()
) -> Plane:
    """The values of a whole track, filtered forwards and backwards; the mean of both lags behind in neither direction.

    Args:
        values: (T, ...).
        seconds: (T,).
        config: of the filter.
    """
    reach = min(_REACH, len(values) - 1)
    longer, times = (_go_on(np.asarray(one, np.float64), reach) for one in (values, seconds))
    forwards, backwards = OneEuroFilter(config), OneEuroFilter(config)
    there = np.stack([forwards(value, float(at)) for value, at in zip(longer, times, strict=True)])
    back = np.stack([backwards(value, -float(at)) for value, at in zip(longer[::-1], times[::-1], strict=True)])
    return ((there + back[::-1]) / 2)[reach : reach + len(values)].astype(np.float32)


def _go_on(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Values (T, ...) that move on at both ends as they moved there, so that the filter has settled at the ends."""
    before = 2 * values[:1] - values[1 : reach + 1][::-1]
    after = 2 * values[-1:] - values[-reach - 1 : -1][::-1]
    return np.concatenate([before, values, after])


def smooth_mesh(meshes: Plane, seconds: NDArray[np.floating], config: OneEuroConfig = OneEuroConfig(beta=4.0)) -> Plane:
    """The meshes (T, 478, 3) of a track, steadied: the place, size and turn of the face, then its shape.

    Args:
        meshes: px of the picture.
        seconds: (T,).
        config: of the filter, whose unit is the height of the face.
    """
    if len(meshes) < 2:
        return meshes.astype(np.float32)
    height = max(float(np.median(np.ptp(meshes[..., 1], axis=1))), 1.0)
    centres = meshes.mean(1, keepdims=True)
    place = smooth(centres / height, seconds, config) * height
    shape = smooth((meshes - centres) / height, seconds, config) * height
    return (place + shape).astype(np.float32)
