"""Identities of face patches with gradients, for the biometric loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from reage.faces.geometry import EYES_IN_CROP, FACE_PER_CROP
from reage.faces.patches import FACE, PATCHES
from reage.measure.recognizers import CHIP_PX
from reage.nets.dlib_resnet import load_dlib_resnet

IdentityEncoder = Callable[[Tensor], Tensor]
"""Whole-face patches (B, 3, P, P) in [-1, 1] -> identities (B, D), with gradients to the patches."""

CHIP = (0.0, 0.511, 2.83)
"""Centre and side, in face units (see `reage.faces.geometry`), of the chip that dlib cuts out of an average face."""


def load_identity_encoder(device: torch.device) -> IdentityEncoder:
    """Dlib's face recognition net on whole-face patches.

    `reage.measure.DlibRecognizer` is the same net, so it cannot judge a person that was learned with this loss.

    Raises:
        WeightsError: when the net is missing.
    """
    net = load_dlib_resnet().to(device)

    def encode(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            identities: Tensor = net(cut_chips(x.float()))
        return identities

    return encode


def cut_chips(x: Tensor) -> Tensor:
    """(B, 3, P, P) whole-face patches -> (B, 3, 150, 150) as dlib cuts an average face."""
    patch = PATCHES[FACE]
    return cut_chips_from(x, (patch.x, patch.y, patch.side))


def cut_chips_from(x: Tensor, place: tuple[float, float, float]) -> Tensor:
    """(B, 3, P, P) squares at a place in the face -> (B, 3, 150, 150) as dlib cuts an average face.

    Args:
        x: the squares.
        place: their centre x, y and side, face units.
    """
    (x_from, y_from, from_side), (centre_x, centre_y, side) = place, CHIP
    scale = side / from_side
    shift = [2 * (centre_x - x_from) / from_side, 2 * (centre_y - y_from) / from_side]
    square_from_chip = x.new_tensor([[scale, 0, shift[0]], [0, scale, shift[1]]])
    grid = F.affine_grid(
        square_from_chip.expand(len(x), -1, -1), [len(x), x.shape[1], CHIP_PX, CHIP_PX], align_corners=False
    )
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def encode_centre(encode: IdentityEncoder, crops: float) -> IdentityEncoder:
    """An encoder of pictures aligned as dlib does it, on the central squares of crops.

    Args:
        encode: takes (B, 3, 150, 150).
        crops: side of the squares, crop sides.
    """
    centre = [FACE_PER_CROP * (0.5 - eyes) for eyes in EYES_IN_CROP]
    place = (centre[0], centre[1], FACE_PER_CROP * crops)

    def embed(x: Tensor) -> Tensor:
        return encode(cut_chips_from(x.float(), place).contiguous(memory_format=torch.channels_last))

    return embed
