"""Apparent age and sex of an aligned face, as a distribution, with gradients to the picture.

dlib's face net, fine-tuned: the means of several of its stages feed one linear layer. The loss follows the label
distribution idea (Gao et al. 2017): a portrait of a 50-year-old also teaches a little about 48 and 52.

Convention:
    crops (B, 3, S, S) in [-1, 1], aligned as `Face.crop` (any S); ages in years, 0 to 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.errors import WeightsError
from reage.nets.dlib_resnet import Trunk, TrunkConfig, load_dlib_resnet
from reage.weights import find_weights, load_torch_weights, made_for

NUM_AGES = 101
"""One class for each year from 0 to 100."""

_MEAN_AGE, _AGE_STD = 58.0, 15.0  # where an untrained net starts
_OLDEST_READING = 100.0


@dataclass(frozen=True, kw_only=True)
class AgeNetConfig:
    """What the estimator looks at and how it reads it.

    Args:
        trunk: of the convolutions; the default is dlib's.
        stages_read: stages of the trunk that feed the head, 0 is the finest.
        looks: central squares that are looked at: the side as a share of the crop's, and the px it is resampled to.
            Training takes one of them by chance, a reading the mean of their features.
        dropout: share of the features dropped in training.
        label_std_years: width of the label distribution.
        expectation_weight: of the error of the expected age, beside the cross-entropy.
        sex_weight: of the cross-entropy of the sex.
        curve: rising (raw expectation, years of age), two or more, joined by straight lines that go on beyond the
            ends: it undoes some of the regression of expectations to the mean of the training people.
    """

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    stages_read: tuple[int, ...] = (1, 2, 4)
    looks: tuple[tuple[float, int], ...] = ((0.8, 160),)
    dropout: float = 0.3
    label_std_years: float = 3.0
    expectation_weight: float = 1.0
    sex_weight: float = 0.3
    curve: tuple[tuple[float, float], ...] = ((0.0, 0.0), (100.0, 100.0))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AgeNetConfig:
        """The config from the plain values of `dataclasses.asdict`, after a trip through JSON."""
        trunk = TrunkConfig(
            stem=values["trunk"]["stem"],
            stages=tuple((channels, num_blocks) for channels, num_blocks in values["trunk"]["stages"]),
        )
        lists = {
            "stages_read": tuple(values["stages_read"]),
            "looks": tuple((share, px) for share, px in values["looks"]),
            "curve": tuple((raw, years) for raw, years in values["curve"]),
        }
        return cls(**{**values, **lists, "trunk": trunk})


class AgeNet(nn.Module):
    """Reads a distribution over ages and the log-odds of a man from aligned crops."""

    ages: Tensor

    def __init__(self, config: AgeNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        self.head = nn.Linear(sum(config.trunk.stages[stage][0] for stage in config.stages_read), NUM_AGES + 1)
        self.register_buffer("ages", torch.arange(NUM_AGES, dtype=torch.float32), persistent=False)
        nn.init.zeros_(self.head.weight)
        self.head.bias.data[:NUM_AGES] = -0.5 * ((self.ages - _MEAN_AGE) / _AGE_STD) ** 2
        self.head.bias.data[NUM_AGES] = 0.0

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> logits of the ages (B, 101) and of masculinity (B,)."""
        num_looks = len(self.config.looks)
        looks = [int(torch.randint(num_looks, ()))] if self.training else range(num_looks)
        seen = [self.trunk.pooled(self.look(crops, which), self.config.stages_read) for which in looks]
        features = F.dropout(torch.stack(seen).mean(0), self.config.dropout, self.training)
        logits: Tensor = self.head(features).float()
        return logits[:, :NUM_AGES], logits[:, NUM_AGES]

    def look(self, crops: Tensor, which: int = 0) -> Tensor:
        """(B, 3, S, S) -> (B, 3, px, px): the central part of the crop that a look of the config takes, not aliased."""
        region_share, px = self.config.looks[which]
        side = crops.shape[-1]
        margin = round(side * (1 - region_share) / 2)
        centre = crops[..., margin : side - margin, margin : side - margin]
        small = F.interpolate(centre, (px, px), mode="bilinear", antialias=True)
        return small.contiguous(memory_format=torch.channels_last)

    def predict(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> expected age and its standard deviation in years, and masculinity in [0, 1]; each (B,)."""
        logits, masculinity = self(crops)
        expected = self.expect(logits)
        probabilities = logits.softmax(1)
        variance = (probabilities * (self.ages - expected[:, None]) ** 2).sum(1)
        years, slope = self.correct(expected)
        return years, variance.sqrt() * slope, masculinity.sigmoid()

    def expect(self, logits: Tensor) -> Tensor:
        """Logits (B, 101) -> raw expected age (B,), which regresses to the mean."""
        return logits.softmax(1) @ self.ages

    def correct(self, expected: Tensor) -> tuple[Tensor, Tensor]:
        """Raw expectation (B,) -> age in years, within 0 to 100, and years of age per year of expectation there."""
        raw, years = expected.new_tensor(self.config.curve).T
        slopes = years.diff() / raw.diff()
        piece = torch.bucketize(expected.detach(), raw[1:-1].contiguous())
        corrected = years[piece] + slopes[piece] * (expected - raw[piece])
        return corrected.clamp(0.0, _OLDEST_READING), slopes[piece]

    def loss(self, crops: Tensor, age_years: Tensor, is_man: Tensor) -> Tensor:
        """What training lowers: cross-entropy to a bell around the age, error of the expectation, and of the sex.

        Args:
            crops: (B, 3, S, S) in [-1, 1].
            age_years: (B,).
            is_man: (B,) 1 for men, 0 for women.
        """
        logits, masculinity = self(crops)
        bell = (-0.5 * ((self.ages - age_years[:, None]) / self.config.label_std_years) ** 2).softmax(1)
        distance = F.smooth_l1_loss(self.expect(logits) / 6, age_years / 6)
        sex = F.binary_cross_entropy_with_logits(masculinity, is_man)
        return F.cross_entropy(logits, bell) + self.config.expectation_weight * distance + self.config.sex_weight * sex


def build_age_net(config: AgeNetConfig, *, from_dlib: bool = False) -> AgeNet:
    """An untrained estimator; `from_dlib` starts its trunk, which may lack the last stages, from dlib's face net.

    Raises:
        WeightsError: when dlib's net is not installed or its convolutions are of another size.
    """
    net = AgeNet(config)
    if from_dlib:
        whole = TrunkConfig()
        if config.trunk != replace(whole, stages=whole.stages[: len(config.trunk.stages)]):
            raise WeightsError(f"dlib's net has the trunk {whole}; {config.trunk} cannot start from it.")
        for mine, theirs in zip(net.trunk.convolutions(), load_dlib_resnet().trunk.convolutions(), strict=False):
            mine.load_state_dict(theirs.state_dict())
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_age_net(name: str | Path = "age-a", device: str = "cpu") -> AgeNet:
    """A trained estimator by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of an age estimator.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "an age estimator"):
        net = build_age_net(AgeNetConfig.from_json(config["net"]))
        net.load_state_dict(tensors)
    return net.to(device).eval().requires_grad_(False)
