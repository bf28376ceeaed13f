"""The trained tensors of a net for its weights file: all of them, or its LoRA matrices (arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from reage.nets.diffusion import DiffusionBase

_DENOISER_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
_TEXT_ENCODER_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")


def add_lora(base: DiffusionBase, rank: int, *, text_encoder: bool = False) -> None:
    """Adds LoRA matrices of this rank to the attention layers of the denoiser; only they are trained then.

    Args:
        base: changed in place.
        rank: of the matrices.
        text_encoder: add them to the attention layers of the text encoder too.
    """
    from peft import LoraConfig

    parts: list[tuple[Any, tuple[str, ...]]] = [(base.unet, _DENOISER_LAYERS)]
    if text_encoder:
        parts.append((base.text_encoder, _TEXT_ENCODER_LAYERS))
    for part, layers in parts:
        part.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers)))


def trained_tensors(part: Any, lora_rank: int) -> dict[str, Tensor]:
    """The tensors of the whole net for rank 0, or else only its LoRA matrices."""
    return {name: value for name, value in part.state_dict().items() if not lora_rank or "lora_" in name}


def load_trained_tensors(part: Any, tensors: Mapping[str, Tensor], lora_rank: int) -> None:
    """Loads the result of `trained_tensors` into the net it was trained from, in place, and freezes it.

    Args:
        part: a denoiser or a text encoder; its precision stays.
        tensors: by name.
        lora_rank: of the matrices, which are added to the net; 0 for a whole net.

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
