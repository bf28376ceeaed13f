"""The age estimation net: a distribution over apparent ages and the sex of an aligned face, differentiable.

dlib's face recognition net, fine-tuned: pooled features of several of its stages feed one linear layer. It is trained
with `reage.training.measures.losses`; `reage.measure.age` runs it as `reage.training.export` stores it.

Convention:
    crops (B, 3, S, S) in [-1, 1], aligned as `Face.crop` (any S); ages in years, 0 to 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_MEAN_AGE, _AGE_STD = 45.0, 25.0
"""Mean and standard deviation in years of the distribution that an untrained net predicts."""
_MAX_AGE = 100.0


@dataclass(frozen=True, kw_only=True)
class AgeNetConfig:
    """Architecture, loss weights and calibration of the net.

    Args:
        trunk: size of the convolutional trunk; the default is dlib's.
        feature_stages: stages of the trunk that feed the head; 0 is the finest.
        input_crops: central squares of the crop that the trunk sees: (side as a share of the crop's side, px that it is
            resampled to). Training draws one for each batch; inference averages the features of all.
        dropout: share of the features dropped in training.
        label_std_years: standard deviation of the label distribution of old people; it falls to half for babies.
        expectation_weight: loss weight of the expected age, relative to the label distribution.
        sex_weight: loss weight of the sex.
        calibration: two or more points (expected age, calibrated age), both rising. Ages between and beyond them are
            interpolated and extrapolated linearly. It undoes part of the regression to the mean of the training ages.
        std_scale: factor on the standard deviation, by which it covers the errors as it should.
    """

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    feature_stages: tuple[int, ...] = (1, 2, 4)
    input_crops: tuple[tuple[float, int], ...] = ((0.8, 160),)
    dropout: float = 0.3
    label_std_years: float = 4.0
    expectation_weight: float = 1.0
    sex_weight: float = 0.3
    calibration: tuple[tuple[float, float], ...] = ((0.0, 0.0), (100.0, 100.0))
    std_scale: float = 1.0

    def label_stds(self, age_years: Tensor) -> Tensor:
        """Standard deviations of the label distributions of ages (B,)."""
        return self.label_std_years * (0.5 + age_years / 100).clamp(max=1.0)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AgeNetConfig:
        """The config from what `dataclasses.asdict` made of it, also after a round trip through JSON."""
        trunk = TrunkConfig(
            stem=values["trunk"]["stem"],
            stages=tuple((channels, num_blocks) for channels, num_blocks in values["trunk"]["stages"]),
        )
        lists = {
            "feature_stages": tuple(values["feature_stages"]),
            "input_crops": tuple((share, px) for share, px in values["input_crops"]),
            "calibration": tuple((expected, years) for expected, years in values["calibration"]),
        }
        return cls(**{**values, **lists, "trunk": trunk})


class AgeNet(nn.Module):
    """Predicts logits over ages and the logit of "male" from aligned crops."""

    ages: Tensor

    def __init__(self, config: AgeNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        self.head = nn.Linear(sum(config.trunk.stages[stage][0] for stage in config.feature_stages), NUM_AGES + 1)
        self.register_buffer("ages", torch.arange(NUM_AGES, dtype=torch.float32), persistent=False)
        nn.init.zeros_(self.head.weight)
        self.head.bias.data[:NUM_AGES] = -0.5 * ((self.ages - _MEAN_AGE) / _AGE_STD) ** 2
        self.head.bias.data[NUM_AGES] = 0.0

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> logits of the ages (B, 101) and of masculinity (B,)."""
        num_crops = len(self.config.input_crops)
        chosen = [int(torch.randint(num_crops, ()))] if self.training else range(num_crops)
        return self.classify([self.input_crop(crops, index) for index in chosen])

    def classify(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What `input_crop` makes of crops, (B, 3, px, px) each -> logits as `forward` gives them."""
        pooled = [self.trunk.pooled(x, self.config.feature_stages) for x in inputs]
        features = F.dropout(torch.stack(pooled).mean(0), self.config.dropout, self.training)
        logits: Tensor = self.head(features).float()
        return logits[:, :NUM_AGES], logits[:, NUM_AGES]

    def input_crop(self, crops: Tensor, index: int = 0, px: int | None = None) -> Tensor:
        """(B, 3, S, S) -> (B, 3, px, px): the central square `config.input_crops[index]`, antialiased."""
        side_share, own_px = self.config.input_crops[index]
        px = px or own_px
        side = crops.shape[-1]
        margin = round(side * (1 - side_share) / 2)
        centre = crops[..., margin : side - margin, margin : side - margin]
        small = F.interpolate(centre, (px, px), mode="bilinear", antialias=True)
        return small.contiguous(memory_format=torch.channels_last)

    def predict(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> calibrated age, its standard deviation in years, and masculinity in [0, 1]; each (B,)."""
        return self.interpret(*self(crops))

    def interpret(self, logits: Tensor, masculinity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, 101) of ages and (B,) of masculinity -> what `predict` gives."""
        expected = self.expected_age(logits)
        probabilities = logits.softmax(1)
        variance = (probabilities * (self.ages - expected[:, None]) ** 2).sum(1)
        years, slope = self.calibrate(expected)
        return years, self.config.std_scale * slope * variance.sqrt(), masculinity.sigmoid()

    def expected_age(self, logits: Tensor) -> Tensor:
        """Logits (B, 101) -> uncalibrated expected age in years (B,), which regresses to the mean."""
        return logits.softmax(1) @ self.ages

    def calibrate(self, expected: Tensor) -> tuple[Tensor, Tensor]:
        """Expected age (B,) -> calibrated age in years, within 0 to 100, and the slope of the calibration there."""
        knots, years = expected.new_tensor(self.config.calibration).T
        slopes = years.diff() / knots.diff()
        piece = torch.bucketize(expected.detach(), knots[1:-1].contiguous())
        calibrated = years[piece] + slopes[piece] * (expected - knots[piece])
        return calibrated.clamp(0.0, _MAX_AGE), slopes[piece]


def build_age_net(config: AgeNetConfig, *, from_dlib: bool = False) -> AgeNet:
    """An untrained net.

    Args:
        config: architecture.
        from_dlib: initialise the trunk with dlib's face recognition net; the trunk may lack dlib's last stages.

    Raises:
        WeightsError: when dlib's net is missing, or the trunk is of another size.
    """
    net = AgeNet(config)
    if from_dlib:
        whole = TrunkConfig()
        if config.trunk != replace(whole, stages=whole.stages[: len(config.trunk.stages)]):
            raise WeightsError(f"dlib's net has the trunk {whole}; {config.trunk} cannot start from it.")
        for layer, dlibs in zip(net.trunk.convolutions(), load_dlib_resnet().trunk.convolutions(), strict=False):
            layer.load_state_dict(dlibs.state_dict())
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_age_net(name: str | Path = "age-a", device: str = "cpu") -> AgeNet:
    """A trained net by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of an age estimator.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "an age estimator"):
        net = build_age_net(AgeNetConfig.from_json(config["net"]))
        net.load_state_dict(tensors)
    return net.to(device).eval().requires_grad_(False)
