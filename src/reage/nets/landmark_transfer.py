"""The net that gives one face the expression of another: mesh in, mesh out, both without their pose.

After the ID-preserving shape generator (IDSG) of Dual-Generator Face Reenactment (Hsu et al., CVPR 2022). Differences:
the identity code is the own mesh, not features of a face recognizer; the net predicts offsets of that mesh; and
a linear part carries what a linear map can, so that the net learns from few people.

Convention:
    faces (B, 468, 3) face units, as `reage.faces.head_pose.HeadPose.to_units` gives them; changes (B, 52) of the scores
    of `reage.faces.expression.EXPRESSIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from reage.mesh_points import NUM_SURFACE
from reage.weights import find_weights, load_torch_weights, made_for


@dataclass(frozen=True, kw_only=True)
class LandmarkTransferConfig:
    """Size of the net.

    Args:
        num_scores: blend shapes.
        num_shapes: principal components by which it sees a face.
        num_offsets: principal components of the offsets that it gives.
        width: of the hidden layers.
        code: size of the code of an expression.
        dropout: share of the hidden units left out in training.
    """

    num_scores: int = 52
    num_shapes: int = 60
    num_offsets: int = 40
    width: int = 256
    code: int = 64
    dropout: float = 0.1


class LandmarkTransfer(nn.Module):
    """Gives a face the expression of another, and changes blend shapes; the same face as driver changes nothing."""

    mean: Tensor
    shapes: Tensor
    offsets: Tensor
    blend_shapes: Tensor

    def __init__(self, config: LandmarkTransferConfig) -> None:
        super().__init__()
        self.config = config
        size = 3 * NUM_SURFACE
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("shapes", torch.zeros(size, config.num_shapes))
        self.register_buffer("offsets", torch.zeros(config.num_offsets, size))
        self.register_buffer("blend_shapes", torch.zeros(config.num_scores, size))
        self.linear = nn.Linear(config.num_shapes, config.num_offsets, bias=False)
        self.encoder = nn.Sequential(*_layers(config, config.num_shapes), nn.Linear(config.width, config.code))
        self.decoder = nn.Sequential(
            *_layers(config, config.code + config.num_shapes),
            *_layers(config, config.width),
            nn.Linear(config.width, config.num_offsets),
        )

    def forward(self, source: Tensor, driver: Tensor, change: Tensor) -> Tensor:
        """(B, 468, 3) of the person, (B, 468, 3) with the expression, (B, 52) -> (B, 468, 3)."""
        own, other = self._see(source), self._see(driver)
        code = self.encoder(other) - self.encoder(own)
        moved = self.decoder(torch.cat([code, own], 1)) - self.decoder(torch.cat([torch.zeros_like(code), own], 1))
        offsets = (self.linear(other - own) + moved) @ self.offsets + change @ self.blend_shapes
        return source + offsets.reshape(source.shape)

    def _see(self, faces: Tensor) -> Tensor:
        return (faces.flatten(1) - self.mean) @ self.shapes


def _layers(config: LandmarkTransferConfig, size: int) -> tuple[nn.Module, ...]:
    return nn.Linear(size, config.width), nn.SiLU(), nn.Dropout(config.dropout)


def build_landmark_transfer(config: LandmarkTransferConfig) -> LandmarkTransfer:
    """An untrained net."""
    return LandmarkTransfer(config)


def load_landmark_transfer(weights: str | Path) -> LandmarkTransfer:
    """The trained net, in evaluation mode.

    Raises:
        WeightsError: when there are no such weights, or they are not of this net.
    """
    path = find_weights(weights)
    tensors, config = load_torch_weights(path)
    with made_for(path, "landmark transfer"):
        net = build_landmark_transfer(LandmarkTransferConfig(**config["net"]))
        net.load_state_dict(tensors)
    return net.eval()
