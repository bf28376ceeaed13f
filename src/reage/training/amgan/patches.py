"""What AMGAN's critic sees: the luma of real and generated pictures and both of their maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reage.training.amgan.dataset import FaceBatch, PatchBatch
from reage.training.amgan.losses import to_luma


@dataclass(frozen=True)
class Patches:
    """The same places of real pictures, generated ones and maps; what is no visible skin is black in all of them.

    Args:
        fake: (B, 1, S, S) luma of the generated pictures.
        real: (B, 1, S, S) luma of the source pictures.
        target_map: (B, 1, S, S) in [-1, 1].
        source_map: (B, 1, S, S) in [-1, 1].
        centres: (B, 2) x and y of their centres, in sides of the common face.
    """

    fake: Tensor
    real: Tensor
    target_map: Tensor
    source_map: Tensor
    centres: Tensor


def to_patches(batch: PatchBatch, faces: FaceBatch, aged: Tensor, aged_faces: Tensor) -> Patches:
    """Patches and whole faces together.

    Args:
        batch: patches.
        faces: whole faces.
        aged: (B, 3, S, S) what the generator made of the patches.
        aged_faces: (B, 3, S, S) what it made of the faces.
    """
    usable = torch.cat([batch.usable, faces.usable])
    planes = torch.cat([batch.planes, faces.planes])
    middle = torch.full((len(faces.x), 2), 0.5, device=batch.centres.device)

    def on_skin(x: Tensor) -> Tensor:
        return (to_luma(x.float()) + 1) * usable - 1

    return Patches(
        fake=on_skin(torch.cat([aged, aged_faces])),
        real=on_skin(torch.cat([batch.x, faces.x])),
        target_map=planes[:, :1],
        source_map=planes[:, 1:2],
        centres=torch.cat([batch.centres, middle]),
    )
