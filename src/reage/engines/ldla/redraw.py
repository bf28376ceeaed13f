"""Patches of zones denoised from the same noise under two prompts: with the target score and with the present one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from reage.faces.patches import ZONE_PATCHES, zone_of_patch
from reage.nets.diffusion import DiffusionBase
from reage.nets.sampling import SamplingConfig, denoise, draw_noise
from reage.prompts import UNCONDITIONAL, whole_prompt


@dataclass(frozen=True)
class PatchEdit:
    """An edit of one patch.

    Args:
        patch: one of `reage.faces.patches.ZONE_PATCHES`.
        score: present score of its zone.
        target_score: score that the zone is to have.
    """

    patch: str
    score: float
    target_score: float


def redraw(
    base: DiffusionBase, x: Tensor, edits: Sequence[PatchEdit], seed: int, config: SamplingConfig
) -> tuple[Tensor, Tensor]:
    """The patches redrawn with their target scores, and redrawn from the same noise with their present scores.

    Args:
        base: a trained one.
        x: (K, 3, P, P) the patches.
        edits: one for each patch.
        seed: of the noise.
        config: noise, steps and guidance.

    Returns:
        (K, 3, P, P) twice.
    """
    latents = base.encode(x).repeat(2, 1, 1, 1)
    places = [ZONE_PATCHES.index(edit.patch) for edit in edits]
    noise = draw_noise(base, seed, len(ZONE_PATCHES), latents.shape[-1])[places]
    target_prompts = [whole_prompt(zone_of_patch(edit.patch), edit.target_score) for edit in edits]
    present_prompts = [whole_prompt(zone_of_patch(edit.patch), edit.score) for edit in edits]
    text, uncond = base.embed([*target_prompts, *present_prompts]), base.embed([UNCONDITIONAL])
    aged, unaged = base.decode(denoise(base, latents, noise.repeat(2, 1, 1, 1), text, uncond, config)).chunk(2)
    return aged, unaged
