"""The age-invariant identity encoder: attention divides the features of a face into those of its age and the others.

The attention-based feature decomposition (AIFD) of MTLFace (Huang, Zhang, Shan: "When Age-Invariant Face Recognition
Meets Face Age Synthesis", CVPR 2021, arXiv 2103.01520). It is trained by `reage.training.aifd`;
`reage.measure.AifdRecognizer` runs it as `reage.training.export` stores it.

Convention:
    x (B, 3, P, P) RGB in [-1, 1], P = `AifdConfig.input_px`: chips of `reage.measure.recognizers.make_chip`, or for
    `paper` faces aligned by `align_for_arcface`; feature maps (B, C, S, S); embeddings (B, D), compared by their
    cosine; ages in years, 0 to 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reage.errors import WeightsError
from reage.nets.age import NUM_AGES
from reage.nets.dlib_resnet import Trunk, TrunkConfig, load_dlib_resnet
from reage.nets.iresnet import IR50, IrTrunk
from reage.weights import find_weights, load_torch_weights, made_for

GROUP_LIMITS_YEARS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
"""Greatest ages of all age groups but the last."""
NUM_GROUPS = len(GROUP_LIMITS_YEARS) + 1
DLIB_EMBEDDING_SIZE = 128


# Config


@dataclass(frozen=True, kw_only=True)
class AifdConfig:
    """Architecture of the encoder.

    Args:
        backbone: "dlib", which can start from dlib's weights, or "ir", that of the paper.
        trunk: its size.
        input_px: side P of the pictures that it takes.
        pools: numbers of bins along a side of the pyramid that the channel gate pools over.
        reduction: factor between the channel gate's input and its hidden layer.
        embedding_size: D.
        dropout: share of the features dropped before the embedding in training.
        age_size: hidden units of an age head.
    """

    backbone: Literal["dlib", "ir"] = "dlib"
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    input_px: int = 150
    pools: tuple[int, ...] = (1, 2)
    reduction: int = 16
    embedding_size: int = DLIB_EMBEDDING_SIZE
    dropout: float = 0.1
    age_size: int = 512

    @property
    def channels(self) -> int:
        """C of the map that is decomposed, the last of the trunk."""
        return self.trunk.stages[-1][0]

    @property
    def map_px(self) -> int:
        """S of that map."""
        side = self.input_px
        if self.backbone == "ir":
            return math.ceil(side / 2 ** len(self.trunk.stages))
        for kernel in (7, 3):
            side = (side - kernel) // 2 + 1
        for _ in self.trunk.stages[1:]:
            side = max(side // 2, (side - 3) // 2 + 1)
        return side

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AifdConfig:
        """The config from what `dataclasses.asdict` made of it, also after a round trip through JSON."""
        trunk = TrunkConfig(
            stem=values["trunk"]["stem"],
            stages=tuple((channels, num_blocks) for channels, num_blocks in values["trunk"]["stages"]),
        )
        return cls(**{**values, "trunk": trunk, "pools": tuple(values["pools"])})


def tiny() -> AifdConfig:
    """The size for tests."""
    trunk = TrunkConfig(stem=4, stages=((4, 1), (8, 1)))
    return AifdConfig(trunk=trunk, input_px=32, reduction=4, embedding_size=8, age_size=8)


def cpu() -> AifdConfig:
    """The shipped size: dlib's trunk on its own chips of 150 px, 256 x 2 x 2 features, embeddings of 128 numbers."""
    return AifdConfig()


def paper() -> AifdConfig:
    """That of the paper: IR-50 at 112 px, 512 x 7 x 7 features, embeddings of 512 numbers; needs a GPU to train."""
    return AifdConfig(
        backbone="ir", trunk=IR50, input_px=112, pools=(1, 2, 3), embedding_size=512, dropout=0.5, age_size=512
    )


# Attention


class ChannelGate(nn.Module):
    """How much of each channel belongs to the age, from the channel's means and maxima over a spatial pyramid."""

    def __init__(self, config: AifdConfig) -> None:
        super().__init__()
        self.pools = config.pools
        inputs = config.channels * sum(bins**2 for bins in config.pools)
        self.squeeze = nn.Linear(inputs, inputs // config.reduction, bias=False)
        self.excite = nn.Linear(inputs // config.reduction, config.channels, bias=False)
        self.norm = nn.BatchNorm1d(config.channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, C, 1, 1) in [0, 1]."""
        return torch.sigmoid(self.norm(self.weigh(x)))[:, :, None, None]

    def weigh(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, C) before the normalisation."""
        means, maxima = pool_pyramid(x, self.pools)
        weights: Tensor = self.excite(torch.relu(self.squeeze(means + maxima)))
        return weights


class SpatialGate(nn.Module):
    """How much of each place belongs to the age, from the mean and maximum of the channels there and around."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm1d(1)  # over a flat map: an exporter would fold a two-dimensional one into the weights

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, 1, S, S) in [0, 1]."""
        return torch.sigmoid(self.norm(self.weigh(x))).unflatten(2, x.shape[2:])

    def weigh(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, 1, S * S) before the normalisation."""
        weights: Tensor = self.look(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1))
        return weights.flatten(2)


class Attention(nn.Module):
    """sigma(X), the share of the features that belongs to the age: the mean of a channel gate and a spatial gate."""

    def __init__(self, config: AifdConfig) -> None:
        super().__init__()
        self.channel = ChannelGate(config)
        self.spatial = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, C, S, S) in [0, 1]."""
        shares: Tensor = (self.channel(x) + self.spatial(x)) / 2
        return shares


def pool_pyramid(x: Tensor, pools: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Means and maxima of the bins of a spatial pyramid (He et al., ECCV 2014), as `adaptive_avg_pool2d` cuts them.

    Args:
        x: (B, C, S, S).
        pools: bins along a side, for each level.

    Returns:
        Means and maxima, both (B, C * sum of squared numbers of bins).
    """
    height, width = int(x.shape[2]), int(x.shape[3])
    bins = [
        x[:, :, rows, columns] for number in pools for rows in _cut(height, number) for columns in _cut(width, number)
    ]
    return torch.cat([one.mean((2, 3)) for one in bins], 1), torch.cat([one.amax((2, 3)) for one in bins], 1)


def _cut(side: int, number: int) -> list[slice]:
    return [slice(side * i // number, -(-side * (i + 1) // number)) for i in range(number)]


# Heads


class IdentityEmbedding(nn.Module):
    """The embedding of the features that are left without the age."""

    def __init__(self, config: AifdConfig) -> None:
        super().__init__()
        self.before = nn.BatchNorm2d(config.channels)
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(config.channels * config.map_px**2, config.embedding_size)
        self.after = nn.BatchNorm1d(config.embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, D)."""
        embeddings: Tensor = self.after(self.linear(self.dropout(self.before(x)).flatten(1)))
        return embeddings


class AgeHead(nn.Module):
    """Age from features: logits of the years 0 to 100 and, from these, of the age groups."""

    def __init__(self, config: AifdConfig) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(config.channels)
        self.hidden = nn.Linear(config.channels * config.map_px**2, config.age_size)
        self.years = nn.Linear(config.age_size, NUM_AGES)
        self.groups = nn.Linear(NUM_AGES, NUM_GROUPS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, S, S) -> logits of the years (B, 101) and of the groups (B, 7)."""
        years = self.years(torch.relu(self.hidden(self.norm(x).flatten(1)))).float()
        return years, self.groups(years)


def expected_age(logits: Tensor) -> Tensor:
    """Logits (B, 101) -> (B,) years, sum_k k softmax(logits)_k (DEX, Rothe et al., 2015)."""
    return logits.softmax(1) @ torch.arange(NUM_AGES, dtype=logits.dtype, device=logits.device)


def age_group(age_years: Tensor) -> Tensor:
    """Ages (B,) -> (B,) numbers of their groups, 0 to 6."""
    return torch.bucketize(age_years, age_years.new_tensor(GROUP_LIMITS_YEARS))


# Encoder


class Aifd(nn.Module):
    """Identity embedding and age of an aligned face.

    With X the last feature map: X_age = X sigma(X), X_id = X - X_age; the embedding is that of X_id, the age that of
    X_age.
    """

    def __init__(self, config: AifdConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = (Trunk if config.backbone == "dlib" else IrTrunk)(config.trunk)
        self.attention = Attention(config)
        self.identity = IdentityEmbedding(config)
        self.age = AgeHead(config)

    def decompose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, P, P) -> X_id and X_age, both (B, C, S, S)."""
        features = self.trunk(x)[-1].float()
        of_age = features * self.attention(features)
        return features - of_age, of_age

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, P, P) -> embeddings (B, D) and ages (B,) in years."""
        of_identity, of_age = self.decompose(x)
        return self.identity(of_identity), expected_age(self.age(of_age)[0])

    def embed(self, x: Tensor) -> Tensor:
        """(B, 3, P, P) -> (B, D), differentiable, as an identity loss needs it."""
        embeddings: Tensor = self.identity(self.decompose(x)[0])
        return embeddings


def build_aifd(config: AifdConfig, *, from_dlib: bool = False) -> Aifd:
    """An untrained encoder.

    Args:
        config: architecture.
        from_dlib: start from dlib's face recognition net, so that the embedding is dlib's, up to the last
            normalisation: the attention is a half everywhere, and the embedding multiplies what is left by two.

    Raises:
        WeightsError: when dlib's net is missing, or the encoder is of another size.
    """
    net = Aifd(config)
    if from_dlib:
        _start_from_dlib(net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.no_grad()
def _start_from_dlib(net: Aifd) -> None:
    config, dlib = net.config, load_dlib_resnet()
    if (config.backbone, config.trunk, config.embedding_size) != ("dlib", dlib.trunk.config, DLIB_EMBEDDING_SIZE):
        raise WeightsError(
            f"dlib's net has the trunk {dlib.trunk.config} and embeddings of {DLIB_EMBEDDING_SIZE} numbers; "
            f"{config} cannot start from it."
        )
    net.trunk.load_state_dict(dlib.trunk.state_dict())
    for gate in (net.attention.channel, net.attention.spatial):
        nn.init.zeros_(gate.norm.weight)
    places = config.map_px**2
    net.identity.linear.weight.copy_((2 / places * dlib.head.weight).repeat_interleave(places, 1))
    nn.init.zeros_(net.identity.linear.bias)


@torch.no_grad()
def calibrate_normalisation(net: Aifd, batches: Iterable[Tensor]) -> None:
    """Sets the statistics of all normalisations after the trunk to those of some faces.

    Those of the embedding also keep the scale, and the first of them the mean, of what they normalise: the relative
    sizes of the numbers of an embedding say how much each counts.

    Args:
        net: untrained, in place.
        batches: of faces, (B, 3, P, P) each.
    """
    net.eval()
    attention, identity = net.attention, net.identity
    x = torch.cat([net.trunk(batch)[-1] for batch in batches])
    _set_statistics(attention.channel.norm, attention.channel.weigh(x))
    _set_statistics(attention.spatial.norm, attention.spatial.weigh(x))
    of_age = x * attention(x)
    _set_statistics(net.age.norm, of_age)
    _set_statistics(identity.before, x - of_age)
    _keep(identity.before, mean=True)
    _set_statistics(identity.after, identity.linear(identity.before(x - of_age).flatten(1)))
    _keep(identity.after, mean=False)


def _set_statistics(norm: nn.BatchNorm1d | nn.BatchNorm2d, values: Tensor) -> None:
    """Those of values (N, C) or (N, C, ...)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    flat = values.transpose(0, 1).flatten(1)
    norm.running_mean.copy_(flat.mean(1))
    norm.running_var.copy_(flat.var(1))


def _keep(norm: nn.BatchNorm1d | nn.BatchNorm2d, *, mean: bool) -> None:
    """Lets a normalisation keep the scale and, if wanted, the mean of its inputs."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(norm.running_mean if mean else torch.zeros_like(norm.bias))


def load_aifd(name: str | Path = "aifd", device: str = "cpu") -> Aifd:
    """A trained encoder by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of this encoder.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "an age-invariant identity encoder"):
        net = build_aifd(AifdConfig.from_json(config["net"]))
        net.load_state_dict(tensors)
    return net.to(device).eval().requires_grad_(False)
