"""Latent diffusion bases shaped as Stable Diffusion: the one place that builds, loads and saves them.

A base is an autoencoder, a denoiser that follows a text, a text encoder with its tokenizer, and the schedule of the
noise (see `reage.nets.latent_diffusion`), stored in the folder layout of diffusers. diffusers and transformers are imported only
when a base is built, loaded or saved.

Convention:
    pictures (B, 3, S, S) in [-1, 1], S a multiple of `DiffusionBase.factor`; latents (B, c, S / factor, S / factor), of about
    unit deviation; steps (B,) int64, 0 (clean) to 999 (noise); text (B, L, C); outside the nets all in float32.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from reage.errors import WeightsError
from reage.nets.diffusion_folder import INDEX, PROVENANCE, find_base, hash_base, hash_parts, replace_folder
from reage.nets.latent_diffusion import (
    AutoencoderConfig,
    DenoiserConfig,
    DiffusionConfig,
    TextConfig,
    build_autoencoder,
    build_denoiser,
    build_text_encoder,
    quiet,
    small,
    tiny,
)
from reage.nets.tokens import tokenize

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

__all__ = [
    "AutoencoderConfig",
    "DiffusionBase",
    "DenoiserConfig",
    "DiffusionConfig",
    "TextConfig",
    "base_hash",
    "build_base",
    "load_base",
    "require_diffusion",
    "save_base",
    "small",
    "tiny",
]

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
_SAMPLING = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
_LEAST_MEMORY = 8e9  # bytes of a GPU below which attention is sliced


@dataclass
class DiffusionBase:
    """A latent diffusion model, ready to be called or trained.

    Args:
        vae: the autoencoder.
        unet: the denoiser, which predicts the noise.
        text_encoder: of CLIP's shape.
        tokenizer: of the text encoder.
        scheduler: betas and sampling by DDIM.
        name: what it was loaded as, or is to be called.
        weights_hash: 12 hexadecimal digits of what was loaded, see `base_hash`; "" for one that was built.
        frame_hash: the same of all but the denoiser, for weights that replace it.
        provenance: recipe, seed and commit it came about with, as far as known.
    """

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    name: str
    weights_hash: str = ""
    frame_hash: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the denoiser is."""
        return next(self.unet.parameters()).device

    @property
    def factor(self) -> int:
        """Picture px per latent px along a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def picture_px(self) -> int:
        """Side of the pictures it has learned from."""
        return int(self.unet.config.sample_size) * self.factor

    @property
    def latent_channels(self) -> int:
        """Of the latents."""
        return int(self.vae.config.latent_channels)

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest prompt, with both marks."""
        return int(min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings))

    @property
    def num_parameters(self) -> dict[str, int]:
        """Part -> number of its parameters."""
        parts = {"autoencoder": self.vae, "denoiser": self.unet, "text": self.text_encoder}
        return {name: sum(weight.numel() for weight in part.parameters()) for name, part in parts.items()}

    def encode(self, x: Tensor) -> Tensor:
        """Pictures -> latents: the most likely ones, nothing drawn."""
        latents = self.vae.encode(_for(self.vae, x)).latent_dist.mode().float()
        return (latents - self._shift) * self.vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Latents -> pictures, which may leave [-1, 1] a little."""
        return self.vae.decode(_for(self.vae, latents / self.vae.config.scaling_factor + self._shift)).sample.float()

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> text (B, L, C), filled up or cut to the longest prompt."""
        return self.text_encoder(self.token_ids(prompts).to(self.text_encoder.device))[0].float()

    def token_ids(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> ids (B, L) int64 on the CPU."""
        return tokenize(self.tokenizer, prompts, self.max_tokens)

    def predict(self, latents: Tensor, steps: Tensor, text: Tensor) -> Tensor:
        """Noisy latents, steps (B,), text -> the noise in them, of the latents' shape."""
        text = _for(self.unet, text)
        return self.unet(_for(self.unet, latents), steps.to(self.device), encoder_hidden_states=text).sample.float()

    def to(self, device: str | torch.device) -> DiffusionBase:
        """The same base, its nets moved there."""
        for part in (self.vae, self.unet, self.text_encoder):
            part.to(device, memory_format=torch.channels_last)  # in which convolutions are fastest
        return self

    @property
    def _shift(self) -> float:
        return float(self.vae.config.get("shift_factor") or 0)


def _for(part: nn.Module, x: Tensor) -> Tensor:
    """The values where, and as precise as, the part computes."""
    weight = next(part.parameters())
    return x.to(weight.device, weight.dtype)


def build_base(config: DiffusionConfig, tokenizer: CLIPTokenizer, name: str = "base") -> DiffusionBase:
    """An untrained base on the CPU; torch's random numbers decide on its weights.

    Args:
        config: sizes.
        tokenizer: see `reage.nets.tokens.build_tokenizer`.
        name: what it is to be called.

    Raises:
        WeightsError: when diffusers is not installed.
    """
    require_diffusion()
    with quiet("transformers"), quiet("diffusers"):
        return DiffusionBase(
            vae=build_autoencoder(config.autoencoder),
            unet=build_denoiser(config),
            text_encoder=build_text_encoder(config.text, tokenizer),
            tokenizer=tokenizer,
            scheduler=_make_scheduler(_BETAS, name),
            name=name,
        )


# Load


def load_base(name: str | Path, device: str = "cpu", half: bool | None = None) -> DiffusionBase:
    """A trained base that predicts the noise, in evaluation mode, frozen; nothing that filters pictures comes along.

    Args:
        name: of a shipped base; or a folder in the layout of diffusers; or a `.safetensors` checkpoint of Stable
            Diffusion 1.x or 2.x-base, whose configs and tokenizer come from a folder of its name without the suffix,
            or its own folder, if there is a model_index.json in it, or else from the hub; or `OWNER/NAME` on the hub.
        device: of torch.
        half: compute in 16 bits; None does so wherever it is not on the CPU, on which it is never done.

    Raises:
        WeightsError: when there is no such base, it cannot be fetched, lacks a part or predicts something else.
    """
    require_diffusion()
    place = find_base(name)
    with quiet("transformers"), quiet("diffusers"), _made_for_a_base(place):
        base = _read_file(place, str(name)) if place.is_file() else _read_folder(place, str(name))
    _check_parts(base)
    base.weights_hash, base.frame_hash = hash_parts(place)
    precise = half is False or torch.device(device).type == "cpu"
    for part in (base.vae, base.unet, base.text_encoder):
        (part.float() if precise else part.half()).eval().requires_grad_(False)
    base.to(device)
    if torch.device(device).type == "cuda" and torch.cuda.get_device_properties(device).total_memory < _LEAST_MEMORY:
        base.unet.set_attention_slice("auto")
    return base


def base_hash(name: str | Path) -> str:
    """12 hexadecimal digits that change when a weight of the base does; `name` is as for `load_base`.

    Raises:
        WeightsError: when there is no such base.
    """
    return hash_base(find_base(name))


def require_diffusion() -> None:
    """A base needs diffusers and transformers.

    Raises:
        WeightsError: when one of them is not installed.
    """
    if find_spec("diffusers") is None or find_spec("transformers") is None:
        raise WeightsError("A diffusion base needs diffusers and transformers; run `pip install 'reage[diffusion]'`.")


@contextmanager
def _made_for_a_base(place: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError, SafetensorError) as error:
        raise WeightsError(
            f"The diffusion base '{place}' is damaged or no Stable Diffusion 1.x or 2.x-base; fetch it again, or "
            "give another one."
        ) from error


def _read_folder(folder: Path, name: str) -> DiffusionBase:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    provenance = folder / PROVENANCE
    return DiffusionBase(
        scheduler=_make_scheduler(DDIMScheduler.load_config(folder / "scheduler"), folder),
        vae=_read_part(AutoencoderKL, folder / "vae"),
        unet=_read_part(UNet2DConditionModel, folder / "unet"),
        text_encoder=_read_part(CLIPTextModel, folder / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        name=name,
        provenance=json.loads(provenance.read_text()) if provenance.is_file() else {},
    )


def _read_part(kind: Any, folder: Path) -> Any:
    part, report = kind.from_pretrained(folder, use_safetensors=True, local_files_only=True, output_loading_info=True)
    if report["missing_keys"]:
        raise ValueError(f"{folder} lacks {sorted(report['missing_keys'])[:3]}")
    return part


def _read_file(path: Path, name: str) -> DiffusionBase:
    from diffusers import StableDiffusionPipeline
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    beside = [folder for folder in (path.with_suffix(""), path.parent) if (folder / INDEX).is_file()]
    try:
        whole = StableDiffusionPipeline.from_single_file(
            str(path), config=str(beside[0]) if beside else None, safety_checker=None, feature_extractor=None
        )
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise WeightsError(
            f"The checkpoint '{path}' has no configs beside it and the hub cannot be reached; put the configs and the "
            f"tokenizer of its base, with their model_index.json, in '{path.with_suffix('')}'."
        ) from error
    return DiffusionBase(
        vae=whole.vae,
        unet=whole.unet,
        text_encoder=whole.text_encoder,
        tokenizer=whole.tokenizer,
        scheduler=_make_scheduler(whole.scheduler.config, path),
        name=name,
    )


def _make_scheduler(config: Mapping[str, Any], place: str | Path) -> DDIMScheduler:
    """DDIM on the betas of any scheduler."""
    from diffusers import DDIMScheduler

    kind = config.get("prediction_type", "epsilon")
    if kind != "epsilon":
        raise WeightsError(
            f"The diffusion base '{place}' predicts {kind}; reage needs one that predicts epsilon (the noise), such as "
            "Stable Diffusion 1.x or 2.x-base."
        )
    scheduler: DDIMScheduler = DDIMScheduler.from_config(dict(config), **_SAMPLING)
    return scheduler


def _check_parts(base: DiffusionBase) -> None:
    """Whether the parts go together: an inpainting denoiser takes more channels, an SDXL one other text."""
    channels, text = base.unet.config.in_channels, base.unet.config.cross_attention_dim
    if (channels, text) != (base.latent_channels, base.text_encoder.config.hidden_size):
        raise WeightsError(
            f"The denoiser of '{base.name}' takes {channels} channels and a text of {text}, but its other parts give "
            f"{base.latent_channels} and {base.text_encoder.config.hidden_size}; use a plain text-to-image Stable "
            "Diffusion 1.x or 2.x-base."
        )


# Save


def save_base(folder: str | Path, base: DiffusionBase, provenance: Mapping[str, Any] | None = None) -> None:
    """Writes a base in the layout of diffusers, in 16 bits; the old folder stays whole until the new one is complete.

    `StableDiffusionPipeline.from_pretrained(folder)` reads it too.

    Args:
        folder: of the base; another base there is replaced.
        base: left as it is.
        provenance: plain values (JSON): recipe, seed and commit; None writes those of the base.

    Raises:
        WeightsError: when the folder cannot be written, or holds something else.
    """
    with replace_folder(Path(folder)) as unfinished, quiet("transformers"), quiet("diffusers"):
        _write_parts(unfinished, base)
        plain = dict(base.provenance if provenance is None else provenance)
        (unfinished / PROVENANCE).write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n")


def _write_parts(folder: Path, base: DiffusionBase) -> None:
    from diffusers import StableDiffusionPipeline

    vae, unet, text_encoder = (copy.deepcopy(part).cpu().half() for part in (base.vae, base.unet, base.text_encoder))
    nothing = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    whole = StableDiffusionPipeline(vae, text_encoder, base.tokenizer, unet, base.scheduler, **nothing)
    whole.save_pretrained(folder)
    for part, added in (("vae", {}), ("unet", {}), ("text_encoder", {"dtype": "float32"})):
        config = folder / part / "config.json"  # transformers would compute in the bits it is stored in
        plain = {**json.loads(config.read_text()), **added}
        plain.pop("_name_or_path", None)  # where it lay on the disk of whoever made it
        config.write_text(json.dumps(plain, indent=2) + "\n")
