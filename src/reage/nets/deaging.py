"""The de-aging net: one encoder, and a decoder for young and one for old faces.

After "Precision sketching with de-aging networks in forensics" (Frontiers in Signal Processing 2024), whose de-aging
module is of the type of networks that swap faces: each decoder learns faces of its own age, the encoder those of both,
so what it passes on is what both ages share, and a face is made young by the young decoder. The article does not give
the layers; these are those of such networks. Published is `num_skips` 0 and no `adds_to_input`.

Convention:
    pictures (B, 3, P, P) in [-1, 1], the central window of a crop, see `reage.faces.window.cut_centre`.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.nets.deaging_config import DeagingConfig
from reage.weights import find_weights, load_torch_weights, made_for

_SLOPE = 0.1
_OUT_PX = 5


class Upscale(nn.Module):
    """A convolution to four times the channels, whose pixels are then shuffled to twice the side."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, 4 * channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels, 2 H, 2 W)."""
        return F.pixel_shuffle(F.leaky_relu(self.convolution(x), _SLOPE), 2)


class Encoder(nn.Module):
    """Convolutions that halve the side, two dense layers, and a doubling."""

    def __init__(self, config: DeagingConfig) -> None:
        super().__init__()
        margin = config.kernel_px // 2
        pairs = itertools.pairwise((3, *config.widths))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, config.kernel_px, 2, margin) for a, b in pairs)
        self.shape = (config.widths[-1], config.end_px, config.end_px)
        size = config.widths[-1] * config.end_px**2
        self.narrow, self.widen = nn.Linear(size, config.latent), nn.Linear(config.latent, size)
        self.up = Upscale(config.widths[-1], config.code_width)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, P, P) -> the code (B, code_width, s, s), and the features after each halving, the largest first."""
        maps = []
        for down in self.downs:
            x = F.leaky_relu(down(x), _SLOPE)
            maps.append(x)
        code = self.up(self.widen(self.narrow(x.flatten(1))).unflatten(1, self.shape))
        return code, maps


class Decoder(nn.Module):
    """Doublings of the side up to a picture."""

    def __init__(self, config: DeagingConfig) -> None:
        super().__init__()
        self.config = config
        num = len(config.decoder_widths)
        sides = (3, *config.widths)  # channels of what a skip takes at each side, the largest first
        skipped = [sides[num - 1 - level] if self._skips(level) else 0 for level in range(num)]
        own = (config.code_width, *(a + b for a, b in zip(config.decoder_widths, skipped, strict=True)))
        self.ups = nn.ModuleList(Upscale(a, b) for a, b in zip(own, config.decoder_widths, strict=False))
        self.out = nn.Conv2d(own[-1], 3, _OUT_PX, 1, _OUT_PX // 2)

    def _skips(self, level: int) -> bool:
        return level >= len(self.config.decoder_widths) - self.config.num_skips

    def forward(self, code: Tensor, maps: list[Tensor], picture: Tensor) -> Tensor:
        """Code, the encoder's features and the picture (B, 3, P, P) -> the picture that this decoder makes."""
        sources, x = [picture, *maps], code
        for level, up in enumerate(self.ups):
            x = up(x)
            if self._skips(level):
                x = torch.cat([x, sources[len(self.ups) - 1 - level]], 1)
        made: Tensor = self.out(x).float()
        return picture + made if self.config.adds_to_input else made.tanh()


class DeagingNet(nn.Module):
    """Both decoders behind one encoder."""

    def __init__(self, config: DeagingConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.young, self.old = Decoder(config), Decoder(config)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, P, P) -> the pictures of the young and of the old decoder."""
        code, maps = self.encoder(picture)
        return self.young(code, maps, picture), self.old(code, maps, picture)

    def decode_rows(self, picture: Tensor, young: Tensor) -> Tensor:
        """(B, 3, P, P) -> the picture of each row's decoder, the young one where `young` (B,) is True."""
        code, maps = self.encoder(picture)
        made = torch.empty_like(picture, dtype=torch.float32)
        for decoder, rows in ((self.young, young), (self.old, ~young)):
            if rows.any():
                made = made.index_copy(
                    0, rows.nonzero()[:, 0], decoder(code[rows], [one[rows] for one in maps], picture[rows])
                )
        return made


def build_deaging_net(config: DeagingConfig) -> DeagingNet:
    """An untrained net; one that adds to its input starts with no change."""
    net = DeagingNet(config)
    if config.adds_to_input:
        for decoder in (net.young, net.old):
            nn.init.zeros_(decoder.out.weight)
            assert decoder.out.bias is not None
            nn.init.zeros_(decoder.out.bias)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_deaging_net(name: str | Path) -> DeagingNet:
    """A trained net by the name of shipped weights or the path of a file, in evaluation mode, frozen.

    Raises:
        WeightsError: when there are no such weights, or they are not of this net.
    """
    path = find_weights(name)
    tensors, config = load_torch_weights(path)
    with made_for(path, "a de-aging net"):
        net = build_deaging_net(DeagingConfig.from_json(config["net"]))
        net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)
