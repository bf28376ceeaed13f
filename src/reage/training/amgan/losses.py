"""The losses of AMGAN, one function each, and their weights.

Those of the paper (arXiv 2008.10960) are the adversarial, aging-map, location and cycle losses; the others compare
the generator with its teacher and with the targets, as the frozen estimators measure them.

Convention:
    pictures (B, 3, S, S) in [-1, 1]; luma (B, 1, S, S) in [-1, 1]; every loss is a scalar, before its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.data.augment import to_grey
from reage.nets.amgan import finer_than
from reage.types import GAIN_FLOOR

OVERSHOOT = 1.15
"""Factor on the teacher's change in `perceptual_loss` and `age_loss`: averaging makes a student lose about as much."""

SHADE_PER_FACE = 32
"""Light and shade are coarser than this part of the side of the common face, in the losses of whole faces."""

DETAIL_WINDOW_PX, LOW_FREQUENCY_WINDOW_PX = 5, 16
"""Windows of `detail_loss` and `low_frequency_loss`, in patches."""

TEXTURE_BANDS, TEXTURE_WINDOW_PX = 4, 32
"""Octaves of `texture_loss`, finest first, and its window."""
TEXTURE_FLOOR = 0.004
"""Deviation of log luminance below which lines are not seen."""

FREE_SHADE = 0.02
"""Log ratio of light and shade that `shade_loss` allows where the teacher changes nothing."""

UNCHANGED_MAP = 0.02
"""Largest difference of two maps that counts as none."""

YEARS_PER_UNIT, ZONE_SCORE_BETA = 6.0, 0.1
"""Distances at which the smooth L1 of ages and of zone scores becomes linear."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weight of each loss; a weight of 0 leaves it out.

    Args:
        reconstruction: see `reconstruction_loss`.
        detail: see `detail_loss`.
        texture: see `texture_loss`.
        perceptual: see `perceptual_loss`.
        chroma: see `chroma_loss`.
        low_frequency: see `low_frequency_loss`; estimators of age prefer shadows that no face has.
        unchanged: see `unchanged_loss`.
        adversarial: see `adversarial_generator_loss`.
        aging_map: see `aging_map_loss`, of the generator.
        location: see `location_loss`, of the generator.
        cycle: see `cycle_loss`.
        age: see `age_loss`.
        zone_scores: see `zone_scores_loss`.
        direction: see `direction_loss`.
        shade: see `shade_loss`.
        gradient_penalty: see `gradient_penalty`, in the critic's loss.
        critic_aging_map: of `aging_map_loss` in the critic's loss.
        critic_location: of `location_loss` in the critic's loss.
    """

    reconstruction: float = 10.0
    detail: float = 10.0
    texture: float = 1.0
    perceptual: float = 1.0
    chroma: float = 10.0
    low_frequency: float = 0.0
    unchanged: float = 0.0
    adversarial: float = 0.0
    aging_map: float = 0.0
    location: float = 0.0
    cycle: float = 0.0
    age: float = 0.0
    zone_scores: float = 0.0
    direction: float = 0.0
    shade: float = 0.0
    gradient_penalty: float = 10.0
    critic_aging_map: float = 10.0
    critic_location: float = 10.0


def finetune_loss_weights() -> LossWeights:
    """The weights of the second stage."""
    return LossWeights(
        detail=6.0,
        low_frequency=30.0,
        perceptual=0.8,
        unchanged=10.0,
        adversarial=0.1,
        aging_map=2.0,
        location=0.2,
        cycle=4.0,
        age=0.4,
        zone_scores=9.0,
        direction=20.0,
        shade=60.0,
    )


# Distances to the teacher


def reconstruction_loss(aged: Tensor, teacher: Tensor) -> Tensor:
    """Mean absolute difference to the teacher's picture, as a share of the range: mean |aged - teacher| / 2."""
    return (aged - teacher).abs().mean() / 2


def detail_loss(aged: Tensor, teacher: Tensor) -> Tensor:
    """`reconstruction_loss` of what is finer than `DETAIL_WINDOW_PX`: the picture minus its mean over that window."""
    return reconstruction_loss(high_pass(aged), high_pass(teacher))


def chroma_loss(aged: Tensor, teacher: Tensor) -> Tensor:
    """`reconstruction_loss` of the chroma: the picture minus its luma."""
    return reconstruction_loss(to_chroma(aged), to_chroma(teacher))


def low_frequency_loss(aged: Tensor, teacher: Tensor) -> Tensor:
    """`reconstruction_loss` of the means over windows of `LOW_FREQUENCY_WINDOW_PX`."""
    return reconstruction_loss(
        F.avg_pool2d(aged, LOW_FREQUENCY_WINDOW_PX), F.avg_pool2d(teacher, LOW_FREQUENCY_WINDOW_PX)
    )


def texture_loss(aged: Tensor, teacher: Tensor, usable: Tensor) -> Tensor:
    """Distance of the local energy of lines to the teacher's, wherever in the neighbourhood they lie.

    The teacher's lines are those of some donor, which no net can guess; their strength at a place is that of the age.
    Log luminance is split into `TEXTURE_BANDS` octaves; the energy of an octave is its deviation in windows of
    `TEXTURE_WINDOW_PX` px of the picture. The mean of |log E(aged) - log E(teacher)| over windows of usable skin.

    Args:
        aged: (B, 3, S, S).
        teacher: (B, 3, S, S).
        usable: (B, 1, S, S) share of visible skin.
    """
    total, light = aged.new_zeros(()), [_log_luma(x) for x in (aged, teacher)]
    weight = F.avg_pool2d(usable, TEXTURE_WINDOW_PX)
    for octave in range(TEXTURE_BANDS):
        coarse = [F.avg_pool2d(one, 2) for one in light]
        energy = [_log_energy(a, b, TEXTURE_WINDOW_PX >> octave) for a, b in zip(light, coarse, strict=True)]
        total = total + ((energy[0] - energy[1]).abs() * weight).sum() / weight.sum().clamp(min=1)
        light = coarse
    return total / TEXTURE_BANDS


def _log_luma(x: Tensor) -> Tensor:
    return ((to_luma(x).float() + 1) / 2 + GAIN_FLOOR).log()


def _log_energy(light: Tensor, coarse: Tensor, window_px: int) -> Tensor:
    """(B, 1, H, W) and the same at half its side -> the logarithm of the deviation of what is finer, per window."""
    band = light - F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return (F.avg_pool2d(band**2, window_px) + TEXTURE_FLOOR**2).log() / 2


def perceptual_loss(
    aged: Sequence[Tensor], source: Sequence[Tensor], teacher: Sequence[Tensor], overshoot: float = OVERSHOOT
) -> Tensor:
    """Relative distance of deep features to those beyond the teacher's (Johnson et al., ECCV 2016).

    Over the layers l: sum of mean |f_l(aged) - t_l| / mean |t_l|, with t_l = f_l(x) + overshoot (f_l(y) - f_l(x)) for
    the source x and the teacher's picture y.

    Args:
        aged: features of each layer, (B, C, H, W).
        source: the same of the source pictures.
        teacher: the same of the teacher's pictures.
        overshoot: factor on the teacher's change; 1 aims at the teacher itself.
    """
    total = aged[0].new_zeros(())
    for found, before, after in zip(aged, source, teacher, strict=True):
        target = before + overshoot * (after - before)
        total = total + ((found - target).abs().mean((1, 2, 3)) / target.abs().mean((1, 2, 3))).mean()
    return total


def unchanged_loss(change: Tensor, unchanged: Tensor) -> Tensor:
    """Change where there should be none: mean of m |change| / 2 for the mask m (B, 1, S, S)."""
    return (change.abs() * unchanged).mean() / 2


def direction_loss(change: Tensor, teacher_change: Tensor, zone_weights: Tensor) -> Tensor:
    """Distance of each zone's change to the nearest multiple of the teacher's: its direction counts, not its length.

    For each zone with normalised weights w, change c and teacher's change t: sum of w mean |c - k t|, where k >= 0 is
    the least-squares factor of their luma, <w, c t> / <w, t t>, without gradient. The mean over all zones that are
    asked to change.

    Args:
        change: (B, 3, S, S) of log colour.
        teacher_change: (B, 3, S, S) the teacher's.
        zone_weights: (B, 12, S, S) weights of the zones that are asked to change, 0 for the others.
    """
    luma, teacher_luma = to_luma(change), to_luma(teacher_change)
    shares = zone_weights / zone_weights.sum((2, 3), keepdim=True).clamp(min=1e-3)
    product, square = ((shares * teacher_luma * other).sum((2, 3), keepdim=True) for other in (luma, teacher_luma))
    factor = (product / (square + 1e-5)).clamp(min=0).detach()
    num_zones = (zone_weights.amax((2, 3)) > 0).sum().clamp(min=1)
    distance = (change[:, None] - factor[:, :, None] * teacher_change[:, None]).abs().mean(2)
    return (shares * distance).sum() / num_zones


def shade_loss(change: Tensor, teacher_change: Tensor) -> Tensor:
    """By how much light and shade, the change (B, 3, S, S) of whole faces, go beyond the teacher's, on average.

    A fifth more than the teacher's is free, and `FREE_SHADE` everywhere.
    """
    found, allowed = (to_shade(to_luma(one)).abs() for one in (change, teacher_change))
    return F.relu(found - 1.2 * allowed - FREE_SHADE).mean()


# Distances to the targets


def age_loss(estimated_years: Tensor, years_before: Tensor, teacher_years: Tensor) -> Tensor:
    """Smooth L1 of estimated ages to those beyond the teacher's: b + 1.15 (t - b), in units of 6 years.

    Args:
        estimated_years: (B,) of the generated pictures.
        years_before: (B,) b, of the source pictures.
        teacher_years: (B,) t, of the teacher's pictures.
    """
    expected = years_before + OVERSHOOT * (teacher_years - years_before)
    return F.smooth_l1_loss(estimated_years / YEARS_PER_UNIT, expected / YEARS_PER_UNIT)


def zone_scores_loss(measured: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 (beta 0.1) of measured to target zone scores (B, 12) of the zones that are shown: no NaN target."""
    shown = ~target.isnan()
    return F.smooth_l1_loss(measured[shown], target[shown], beta=ZONE_SCORE_BETA)


def cycle_loss(restored: Tensor, source: Tensor) -> Tensor:
    """L_Cyc of the paper: mean |G(G(x; A*); A) - x| / 2, the aged picture aged back to its source map."""
    return reconstruction_loss(restored, source)


# Losses of the critic's three heads


def adversarial_generator_loss(fake: Tensor) -> Tensor:
    """Wasserstein loss of the generator: -E[D(G(x))] (Arjovsky et al., ICML 2017)."""
    return -fake.mean()


def adversarial_critic_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Wasserstein loss of the critic: E[D(G(x))] - E[D(x)] (Arjovsky et al., ICML 2017)."""
    return fake.mean() - real.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], fake: Tensor, real: Tensor, fake_shares: Tensor) -> Tensor:
    """WGAN-GP: E[(|grad D(z)| - 1)^2] at z = real + a (fake - real) (Gulrajani et al., NeurIPS 2017).

    Args:
        critic: pictures -> realism, of any shape.
        fake: (B, C, P, P).
        real: (B, C, P, P).
        fake_shares: (B, 1, 1, 1) the mixing shares a, uniform in [0, 1].
    """
    mixed = (real + fake_shares * (fake - real)).requires_grad_(True)
    (gradients,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return ((gradients.flatten(1).norm(dim=1) - 1) ** 2).mean()


def aging_map_loss(predicted: Tensor, aging_map: Tensor) -> Tensor:
    """L_Age of the paper: mean squared error of the critic's map (B, 1, p, p) to the map (B, 1, P, P) in [-1, 1]."""
    return F.mse_loss(predicted, pool_map(aging_map, predicted))


def location_loss(predicted: Tensor, centres: Tensor) -> Tensor:
    """L_Loc of the paper: mean squared error of predicted patch centres (B, 2), in crop sides."""
    return F.mse_loss(predicted, centres)


# Parts of pictures and maps


def pool_map(aging_map: Tensor, like: Tensor) -> Tensor:
    """An aging map (B, 1, P, P) in [-1, 1] -> its means in [0, 1] at the size of `like` (B, 1, p, p)."""
    return (F.adaptive_avg_pool2d(aging_map, (like.shape[-2], like.shape[-1])) + 1) / 2


def to_chroma(x: Tensor) -> Tensor:
    """(B, 3, S, S) minus its luma."""
    return x - to_grey(x)


def lines_alone(change: Tensor) -> Tensor:
    """The change (B, 3, S, S) of whole faces with gradients to the luma of its lines alone.

    Estimators of age and of zones take dark or green patches for old skin; through this they cannot ask for any.
    """
    lines = finer_than(to_luma(change), SHADE_PER_FACE)
    return (change - lines).detach() + lines


def to_shade(x: Tensor) -> Tensor:
    """(B, C, S, S) of whole faces -> (B, C, s, s) their means over parts of the face, `SHADE_PER_FACE` a side."""
    return F.adaptive_avg_pool2d(x, SHADE_PER_FACE)


def to_luma(x: Tensor) -> Tensor:
    """(B, 3, S, S) -> (B, 1, S, S)."""
    return to_grey(x)[:, :1]


def high_pass(x: Tensor) -> Tensor:
    """(B, C, S, S) minus its means over windows of `DETAIL_WINDOW_PX`; the border is replicated."""
    margin = DETAIL_WINDOW_PX // 2
    return x - F.avg_pool2d(F.pad(x, (margin,) * 4, mode="replicate"), DETAIL_WINDOW_PX, 1)


def same_map(planes: Tensor) -> Tensor:
    """Planes (B, 4, S, S) -> (B, 1, S, S) True where target and source map differ by less than `UNCHANGED_MAP`."""
    return (planes[:, :1] - planes[:, 1:2]).abs() < UNCHANGED_MAP
