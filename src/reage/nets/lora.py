"""What a file of weights holds of a net that was trained on: all of it, or matrices of low rank beside its layers.

LoRA, arXiv 2106.09685; peft adds the matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def trained_tensors(part: Any, lora_rank: int) -> dict[str, Tensor]:
    """The whole net at rank 0, or else the matrices that were added to it."""
    return {name: value for name, value in part.state_dict().items() if not lora_rank or "lora_" in name}


def take_in(part: Any, tensors: Mapping[str, Tensor], lora_rank: int) -> None:
    """Puts what `trained_tensors` gave into a net as it was before.

    Args:
        part: a denoiser or a text encoder; computes as precisely as before.
        tensors: by name.
        lora_rank: of the matrices; 0 for a whole net.

    Raises:
        KeyError: when tensors are missing, or belong to another net.
    """
    first = next(part.parameters())
    if lora_rank:
        from peft import LoraConfig

        layers = sorted({name.split(".lora_")[0] for name in tensors})
        part.add_adapter(LoraConfig(r=lora_rank, lora_alpha=lora_rank, target_modules=layers))
    missing, unknown = part.load_state_dict(tensors, strict=False)
    if unknown or (missing and not lora_rank):
        raise KeyError(f"{len(missing)} tensors are missing, {len(unknown)} are unknown")
    for name, weight in part.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.to(first)
    part.eval().requires_grad_(False)
