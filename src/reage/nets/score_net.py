"""Reads the score of a zone off its latents; LDLA's ScoreNet (arXiv 2507.21600), whose design is ours."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from reage.zones import ZONES

_NUM_GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class ScoreNetConfig:
    """Size of the net.

    Args:
        latent_channels: of the autoencoder.
        widths: channels of the stages; each but the first halves the side.
        zone_width: size of what is learned of each zone.
    """

    latent_channels: int = 4
    widths: tuple[int, ...] = (64, 96, 128, 128)
    zone_width: int = 16


class ScoreNet(nn.Module):
    """Latents and the zone they show -> a score."""

    def __init__(self, config: ScoreNetConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths[0], config.widths[-1]
        stages = [_Stage(before, after) for before, after in pairwise(config.widths)]
        self.trunk = nn.Sequential(nn.Conv2d(config.latent_channels, first, 3, padding=1), *stages)
        self.zone = nn.Embedding(len(ZONES), config.zone_width)
        self.head = nn.Sequential(nn.Linear(last + config.zone_width, last), nn.SiLU(), nn.Linear(last, 1))

    def forward(self, latents: Tensor, zones: Tensor) -> Tensor:
        """Scores of zones.

        Args:
            latents: (B, C, h, w).
            zones: (B,) places in `reage.zones.ZONES`.

        Returns:
            (B,) in [0, 1].
        """
        seen = self.trunk(latents).mean((2, 3))
        scores: Tensor = self.head(torch.cat([seen, self.zone(zones)], 1))[:, 0].sigmoid()
        return scores


class _Stage(nn.Module):
    """A residual block that halves the side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(_NUM_GROUPS, before),
            nn.SiLU(),
            nn.Conv2d(before, after, 3, 2, 1),
            nn.GroupNorm(_NUM_GROUPS, after),
            nn.SiLU(),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.skip(x) + self.body(x)
        return mixed


def build_score_net(config: ScoreNetConfig) -> ScoreNet:
    """A net with random weights."""
    return ScoreNet(config)


def tiny_score_net(latent_channels: int) -> ScoreNetConfig:
    """For tests."""
    return ScoreNetConfig(latent_channels=latent_channels, widths=(8, 16), zone_width=4)
