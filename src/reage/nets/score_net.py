"""LDLA's ScoreNet (arXiv 2507.21600), which predicts the score of a zone from its latents; the design is ours."""

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
        channels: of the stages; each stage but the first halves the side.
        zone_embedding_dim: length of the embedding that is learned for each zone.
    """

    latent_channels: int = 4
    channels: tuple[int, ...] = (64, 96, 128, 128)
    zone_embedding_dim: int = 16


class ScoreNet(nn.Module):
    """Predicts the score of a zone from its latents."""

    def __init__(self, config: ScoreNetConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.channels[0], config.channels[-1]
        stages = [_Stage(*channels) for channels in pairwise(config.channels)]
        self.trunk = nn.Sequential(nn.Conv2d(config.latent_channels, first, 3, padding=1), *stages)
        self.zone = nn.Embedding(len(ZONES), config.zone_embedding_dim)
        self.head = nn.Sequential(nn.Linear(last + config.zone_embedding_dim, last), nn.SiLU(), nn.Linear(last, 1))

    def forward(self, latents: Tensor, zones: Tensor) -> Tensor:
        """Scores of zones.

        Args:
            latents: (B, C, h, w).
            zones: (B,) places in `reage.zones.ZONES`.

        Returns:
            (B,) in [0, 1].
        """
        features = self.trunk(latents).mean((2, 3))
        scores: Tensor = self.head(torch.cat([features, self.zone(zones)], 1))[:, 0].sigmoid()
        return scores


class _Stage(nn.Module):
    """A residual block that halves the side."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(_NUM_GROUPS, in_channels),
            nn.SiLU(),
            nn.Conv2d(in_channels, out_channels, 3, 2, 1),
            nn.GroupNorm(_NUM_GROUPS, out_channels),
            nn.SiLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.skip(x) + self.body(x)
        return added


def build_score_net(config: ScoreNetConfig) -> ScoreNet:
    """A net with random weights."""
    return ScoreNet(config)


def tiny_score_net(latent_channels: int) -> ScoreNetConfig:
    """A configuration for tests."""
    return ScoreNetConfig(latent_channels=latent_channels, channels=(8, 16), zone_embedding_dim=4)
