"""The scores of "zones-a" with gradients: the arithmetic of `reage.faces.skin_features` and `zone_scorer` in torch.

A generator learns through it; a test holds both to the same scores.

Convention:
    B pictures, Z = len(ZONES) zones in the order of `ZONES`, F features of a zone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.faces.skin_features import (
    BAND_SIGMAS_PX,
    CLIP_QUANTILE,
    COARSE_SIGMAS_PX,
    FEATURE_FLOOR,
    FOLD_SIGMAS_PX,
    LINE_QUANTILES,
    LUMINANCE_FLOOR,
    MIN_CONTRAST,
    MIN_WEIGHT,
    RIDGE_SIGMAS_PX,
    mirrored_columns,
)
from reage.faces.zone_scorer import ZoneScorer
from reage.zones import MIRRORED_ZONES

Tables = Mapping[str, Tensor]

_LEAK = 0.1
"""Slope of `share_below` outside the range of the quantiles, so that its gradient is not 0 there."""


class DifferentiableZoneScorer:
    """Scores the zones of pictures with gradients.

    Args:
        scorer: of the features of family "a".
    """

    def __init__(self, scorer: ZoneScorer) -> None:
        assert scorer.config.family == "a", scorer.config
        self._tables = {name: torch.from_numpy(values) for name, values in scorer.tables.items()}

    @classmethod
    def load(cls, weights: str = "zones-a") -> DifferentiableZoneScorer:
        """The scorer of shipped weights; see `reage.faces.zone_scorer.ZoneScorer.load` for the errors."""
        return cls(ZoneScorer.load(weights))

    def score(self, features: Tensor, tones: Tensor) -> Tensor:
        """(B, Z, F) features and (B,) indices into `reage.faces.zone_scorer.TONES` -> (B, Z) scores."""
        return score_zones(features[..., 0], zone_ages(features, self._tables), tones, self._tables)


# Features


def normalize_light(grey: Tensor, weights: Tensor) -> Tensor:
    """(B, H, W) `SkinView.light` from the mean of the channels (B, H, W) in [0, 1] and the weights (B, Z, H, W)."""
    light = (grey + LUMINANCE_FLOOR).log()
    coarse = (_blur(light.detach(), COARSE_SIGMAS_PX[0]) - _blur(light.detach(), COARSE_SIGMAS_PX[1])).abs()
    contrast = (_shares(weights) @ coarse.flatten(1)[..., None]).mean(1, keepdim=True)
    return light / contrast.clamp(min=MIN_CONTRAST)


def luminance_features(light: Tensor, weights: Tensor) -> Tensor:
    """Ridges by scale and direction, folds, frequency bands with their variation, quantiles of line strength.

    The wrinkle feature is that of LDLA's scores (arXiv 2507.21600). Gradients flow to the light.

    Args:
        light: (B, H, W) as in `SkinView`.
        weights: (B, Z, H, W) as in `SkinView`.

    Returns:
        (B, Z, F - NUM_COLOUR_FEATURES).
    """
    lines: list[Tensor] = []
    strongest = torch.zeros_like(light)
    for sigma_px in RIDGE_SIGMAS_PX:
        xx, xy, yy = hessian(light, sigma_px)
        strongest = torch.maximum(strongest, max_curvature(xx, xy, yy))
        lines += [ridge.clamp(min=0) for ridge in (xx, yy, (xx + yy) / 2 + xy, (xx + yy) / 2 - xy)]
    folds = [max_curvature(*hessian(light, sigma_px)).clamp(min=0) for sigma_px in FOLD_SIGMAS_PX]
    blurred = [light, *(_blur(light, sigma_px) for sigma_px in BAND_SIGMAS_PX)]
    bands = torch.stack([fine - coarse for fine, coarse in itertools.pairwise(blurred)], -1)
    strengths = [torch.stack(lines + folds, -1), bands.abs(), (-bands).clamp(min=0)]
    shares = _shares(weights)
    means = shares @ torch.cat(strengths, -1).flatten(1, 2)
    variation = (shares @ (bands**2).flatten(1, 2) + 1e-12).sqrt()
    wrinkles, quantiles = _line_strength(strongest, weights)
    return (torch.cat([wrinkles, means, variation, quantiles], -1) + FEATURE_FLOOR).log()


def hessian(light: Tensor, sigma_px: float) -> tuple[Tensor, Tensor, Tensor]:
    """Second derivatives (xx, xy, yy) of (B, H, W) at one scale, times its square; positive across dark lines."""
    dy, dx = torch.gradient(_blur(light, sigma_px), dim=(1, 2))
    dxy, dxx = torch.gradient(dx, dim=(1, 2))
    (dyy,) = torch.gradient(dy, dim=1)
    square = sigma_px**2
    return square * dxx, square * dxy, square * dyy


def max_curvature(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """The larger eigenvalue of the Hessian: the curvature across a dark line of any direction."""
    return (xx + yy) / 2 + (((xx - yy) / 2) ** 2 + xy**2 + 1e-12).sqrt()


def _line_strength(strongest: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, Z, 1) and quantiles (B, Z, Q) of the line strength in each zone; 0 where a zone is hidden.

    The mean is clipped at the 99 % quantile, because hairs and highlights lie above.
    """
    shares = strongest.new_tensor((*LINE_QUANTILES, CLIP_QUANTILE))
    rows = []
    for plane, zones in zip(strongest, weights, strict=True):
        for weight in zones:
            inside = weight > MIN_WEIGHT
            values, inside_weight = plane[inside], weight[inside]
            if not len(values):
                rows.append(plane.new_zeros(len(shares)))
                continue
            quantiles = torch.quantile(values, shares)
            mean = (torch.minimum(values, quantiles[-1:]) * inside_weight).sum() / inside_weight.sum()
            rows.append(torch.cat([mean[None], quantiles[:-1]]))
    found = torch.stack(rows).unflatten(0, weights.shape[:2])
    return found[..., :1], found[..., 1:]


def _shares(weights: Tensor) -> Tensor:
    """(B, Z, H, W) -> (B, Z, H * W) that add up to 1 where a zone is visible."""
    flat = weights.flatten(2)
    return flat / flat.sum(-1, keepdim=True).clamp(min=1e-3)


def _blur(planes: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (B, H, W); the border is reflected."""
    radius = round(4 * sigma_px)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=planes.device) / sigma_px) ** 2)
    kernel = (kernel / kernel.sum())[None, None, None]
    wide = F.pad(planes[:, None], (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(wide, kernel), kernel.transpose(2, 3))[:, 0]


# Scores


def zone_ages(features: Tensor, tables: Tables) -> Tensor:
    """(N, Z, F) features -> (N, Z) predicted age in years of each zone, the mean over a face and its mirror image."""
    plain, mirrored = (_predict_ages(one, tables) for one in (features, mirror_features(features)))
    return (plain + mirrored[:, MIRRORED_ZONES]) / 2


def mirror_features(features: Tensor) -> Tensor:
    """(..., Z, F) features of a face -> those of its mirror image: sides and diagonal directions are swapped."""
    return features[..., list(MIRRORED_ZONES), :][..., mirrored_columns(features.shape[-1], "a")]


def _predict_ages(features: Tensor, tables: Tables) -> Tensor:
    """(N, Z, F) features -> (N, Z) ages, by linear regression on random Fourier features."""
    standard = (features - tables["means"]) / tables["scales"]
    fourier = fourier_features(standard, tables["directions"], tables["phases"])
    return torch.einsum("nzw,zw->nz", fourier, tables["slopes"]) + tables["offsets"]


def fourier_features(standard: Tensor, directions: Tensor, phases: Tensor) -> Tensor:
    """(..., F) standardised features -> (..., W) random Fourier features, sqrt(2 / W) cos(x @ directions + phases).

    Their inner products approximate a Gaussian kernel (Rahimi and Recht, 2007).
    """
    return torch.cos(standard @ directions + phases) * math.sqrt(2 / len(phases))


def score_zones(wrinkles: Tensor, ages: Tensor, tones: Tensor, tables: Tables) -> Tensor:
    """Wrinkle features and ages (N, Z) -> (N, Z) scores, ranked among the people of the tones (N,)."""
    return share_below(mix_terms(wrinkles, ages, tones, tables), tables["score_levels"][tones])


def mix_terms(wrinkles: Tensor, ages: Tensor, tones: Tensor, tables: Tables) -> Tensor:
    """(N, Z) weighted mean of both terms as shares of people; not uniform over people until it is ranked itself."""
    by_wrinkle = share_below(wrinkles, tables["wrinkle_levels"][tones])
    by_age = share_below(ages, tables["age_levels"][tones])
    weights = tables["wrinkle_shares"]
    return weights * by_wrinkle + (1 - weights) * by_age


def share_below(values: Tensor, levels: Tensor) -> Tensor:
    """Shares of people below values (...), given their evenly spaced quantiles `levels` (..., L); differentiable."""
    last = levels.shape[-1] - 1
    place = (levels < values.detach()[..., None]).sum(-1).clamp(1, last)
    low, high = (levels.gather(-1, (place + i)[..., None])[..., 0] for i in (-1, 0))
    part = (values - low) / (high - low).clamp(min=1e-9)
    return (place - 1 + part.clamp(0, 1) + _LEAK * (part - part.detach())) / last
