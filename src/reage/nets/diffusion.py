"""Latent diffusion bases shaped as Stable Diffusion: the one place that builds, loads and saves them.

A base is an autoencoder, a denoiser conditioned on text, a text encoder with its tokenizer, and the noise schedule
(see `reage.nets.latent_diffusion`), stored in the folder layout of diffusers. diffusers and transformers are imported
only when a base is built, loaded or saved.

Convention:
    pictures (B, 3, S, S) in [-1, 1], S a multiple of `DiffusionBase.factor`; latents (B, c, S / factor, S / factor),
    of about unit standard deviation; timesteps (B,) int64, 0 (clean) to 999 (noise); text (B, L, C); float32 outside
    the nets.
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
from reage.nets.diffusion_folder import IDENTITY, INDEX, PROVENANCE, find_base, hash_base, hash_parts, replace_folder
from reage.nets.identity_projection import (
    IdentityConfig,
    IdentityProjection,
    load_projection,
    require_projection,
    save_projection,
)
from reage.nets.latent_diffusion import (
    AutoencoderConfig,
    DenoiserConfig,
    DiffusionConfig,
    TextConfig,
    build_autoencoder,
    build_denoiser,
    build_text_encoder,
    small,
    tiny,
    without_logging,
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
    "IdentityConfig",
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
_SLICED_BELOW_BYTES = 8e9
"""Memory of a GPU below which attention is sliced."""


@dataclass
class DiffusionBase:
    """A latent diffusion model, ready to be called or trained.

    Args:
        vae: the autoencoder.
        unet: the denoiser, which predicts the noise.
        text_encoder: with the architecture of CLIP.
        tokenizer: of the text encoder.
        scheduler: noise schedule, and sampling by DDIM.
        identity: makes text tokens of the embedding of a face; None for a base that takes texts alone.
        name: that it was loaded by, or is given.
        weights_hash: 12 hexadecimal digits of the loaded weights, see `base_hash`; "" for a base that was built.
        hash_without_denoiser: the same of all parts but the denoiser and its identity projection, for weights that
            replace the denoiser.
        provenance: recipe, seed and commit it was trained with, as far as known.
    """

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    name: str
    identity: IdentityProjection | None = None
    weights_hash: str = ""
    hash_without_denoiser: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Device of the denoiser."""
        return next(self.unet.parameters()).device

    @property
    def factor(self) -> int:
        """Picture px per latent px along a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def picture_px(self) -> int:
        """Side of the pictures it was trained on."""
        return int(self.unet.config.sample_size) * self.factor

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae.config.latent_channels)

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest prompt, with start and end token."""
        return int(min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings))

    @property
    def num_parameters(self) -> dict[str, int]:
        """Number of parameters of each part."""
        parts = {"autoencoder": self.vae, "denoiser": self.unet, "text": self.text_encoder}
        if self.identity is not None:
            parts["identity"] = self.identity
        return {name: sum(weight.numel() for weight in part.parameters()) for name, part in parts.items()}

    def encode(self, x: Tensor) -> Tensor:
        """The latents of pictures: the mode of their distribution, without sampling."""
        latents = self.vae.encode(_for(self.vae, x)).latent_dist.mode().float()
        return (latents - self._shift) * self.vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """The pictures of latents, a little beyond [-1, 1] in places."""
        return self.vae.decode(_for(self.vae, latents / self.vae.config.scaling_factor + self._shift)).sample.float()

    def embed(self, prompts: Sequence[str], identity: Tensor | None = None) -> Tensor:
        """The text embeddings (B, L, C) of prompts, padded or truncated to `max_tokens`.

        Args:
            prompts: B of them.
            identity: (B, 128) embeddings of faces by `reage.measure.DlibRecognizer`, whose tokens follow those of the
                prompts; None adds none.

        Raises:
            WeightsError: when an identity is given to a base that takes texts alone.
        """
        text = self.text_encoder(self.token_ids(prompts).to(self.text_encoder.device))[0].float()
        if identity is None:
            return text
        projection = require_projection(self.identity, self.name)
        return torch.cat([text, projection(_for(projection, identity)).float().to(text.device)], 1)

    def token_ids(self, prompts: Sequence[str]) -> Tensor:
        """The token ids (B, L) int64 of prompts, on the CPU."""
        return tokenize(self.tokenizer, prompts, self.max_tokens)

    def predict(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        """The predicted noise (B, c, h, w) in noisy latents at timesteps (B,) under a text."""
        text = _for(self.unet, text)
        return self.unet(_for(self.unet, latents), timesteps.to(self.device), encoder_hidden_states=text).sample.float()

    def to(self, device: str | torch.device) -> DiffusionBase:
        """Moves the nets to a device, in place."""
        for part in self.nets:
            part.to(device, memory_format=torch.channels_last)  # in which convolutions are fastest
        return self

    @property
    def nets(self) -> list[Any]:
        """All nets there are."""
        return [self.vae, self.unet, self.text_encoder, *([] if self.identity is None else [self.identity])]

    @property
    def _shift(self) -> float:
        return float(self.vae.config.get("shift_factor") or 0)


def _for(part: nn.Module, x: Tensor) -> Tensor:
    """The values on the device and in the precision of a part."""
    weight = next(part.parameters())
    return x.to(weight.device, weight.dtype)


def build_base(config: DiffusionConfig, tokenizer: CLIPTokenizer, name: str = "base") -> DiffusionBase:
    """An untrained base on the CPU, with weights from torch's global generator.

    Args:
        config: sizes.
        tokenizer: see `reage.nets.tokens.build_tokenizer`.
        name: that it is given.

    Raises:
        WeightsError: when diffusers is not installed.
    """
    require_diffusion()
    with without_logging("transformers"), without_logging("diffusers"):
        return DiffusionBase(
            vae=build_autoencoder(config.autoencoder),
            unet=build_denoiser(config),
            text_encoder=build_text_encoder(config.text, tokenizer),
            tokenizer=tokenizer,
            scheduler=_make_scheduler(_BETAS, name),
            name=name,
            identity=IdentityProjection(config.identity, config.text.hidden_size) if config.identity else None,
        )


# Load


def load_base(name: str | Path, device: str = "cpu", fp16: bool | None = None) -> DiffusionBase:
    """A trained base that predicts the noise, in evaluation mode, frozen, without a safety checker.

    Args:
        name: of a shipped base; or a folder in the layout of diffusers; or a `.safetensors` checkpoint of Stable
            Diffusion 1.x or 2.x-base, whose configs and tokenizer come from a folder of its name without the suffix,
            or its own folder, if there is a model_index.json in it, or else from the hub; or `OWNER/NAME` on the hub.
        device: of torch.
        fp16: compute in 16 bits; None does so on every device but the CPU. On the CPU it is always float32.

    Raises:
        WeightsError: when there is no such base, or it cannot be fetched, lacks a part or does not predict the noise.
    """
    require_diffusion()
    place = find_base(name)
    with without_logging("transformers"), without_logging("diffusers"), _refuse_damaged(place):
        base = _read_file(place, str(name)) if place.is_file() else _read_folder(place, str(name))
    _check_parts(base)
    base.weights_hash, base.hash_without_denoiser = hash_parts(place)
    float32 = fp16 is False or torch.device(device).type == "cpu"
    for part in base.nets:
        (part.float() if float32 else part.half()).eval().requires_grad_(False)
    base.to(device)
    is_cuda = torch.device(device).type == "cuda"
    if is_cuda and torch.cuda.get_device_properties(device).total_memory < _SLICED_BELOW_BYTES:
        base.unet.set_attention_slice("auto")
    return base


def base_hash(name: str | Path) -> str:
    """12 hexadecimal digits that change when a weight of the base does; `name` is as for `load_base`.

    Raises:
        WeightsError: when there is no such base.
    """
    return hash_base(find_base(name))


def require_diffusion() -> None:
    """Checks that diffusers and transformers are installed.

    Raises:
        WeightsError: when one of them is not installed.
    """
    if find_spec("diffusers") is None or find_spec("transformers") is None:
        raise WeightsError("A diffusion base needs diffusers and transformers; run `pip install 'reage[diffusion]'`.")


@contextmanager
def _refuse_damaged(place: Path) -> Iterator[None]:
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
        identity=load_projection(folder / IDENTITY) if (folder / IDENTITY).is_file() else None,
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
        pipeline = StableDiffusionPipeline.from_single_file(
            str(path), config=str(beside[0]) if beside else None, safety_checker=None, feature_extractor=None
        )
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise WeightsError(
            f"The checkpoint '{path}' has no configs beside it and the hub cannot be reached; put the configs and the "
            f"tokenizer of its base, with their model_index.json, in '{path.with_suffix('')}'."
        ) from error
    return DiffusionBase(
        vae=pipeline.vae,
        unet=pipeline.unet,
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,
        scheduler=_make_scheduler(pipeline.scheduler.config, path),
        name=name,
    )


def _make_scheduler(config: Mapping[str, Any], place: str | Path) -> DDIMScheduler:
    """A DDIM scheduler with the betas of any other."""
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
    """Checks that the parts fit: an inpainting denoiser takes more channels, an SDXL one other text."""
    channels, text = base.unet.config.in_channels, base.unet.config.cross_attention_dim
    if base.identity is not None and base.identity.text_size != text:
        raise WeightsError(
            f"The identity tokens of '{base.name}' have {base.identity.text_size} numbers, its texts {text}; delete "
            f"its {IDENTITY}, or use the one it was trained with."
        )
    if (channels, text) != (base.latent_channels, base.text_encoder.config.hidden_size):
        raise WeightsError(
            f"The denoiser of '{base.name}' takes {channels} channels and a text of {text}, but its other parts give "
            f"{base.latent_channels} and {base.text_encoder.config.hidden_size}; use a plain text-to-image Stable "
            "Diffusion 1.x or 2.x-base."
        )


# Save


def save_base(folder: str | Path, base: DiffusionBase, provenance: Mapping[str, Any] | None = None) -> None:
    """Writes a base in the layout of diffusers, in 16 bits; the old folder stays complete until the new one is.

    `StableDiffusionPipeline.from_pretrained(folder)` reads it too.

    Args:
        folder: of the base; another base there is replaced.
        base: is not changed.
        provenance: plain values (JSON): recipe, seed and commit; None writes those of the base.

    Raises:
        WeightsError: when the folder cannot be written, or holds something other than a base.
    """
    with replace_folder(Path(folder)) as unfinished, without_logging("transformers"), without_logging("diffusers"):
        _write_parts(unfinished, base)
        plain = dict(base.provenance if provenance is None else provenance)
        (unfinished / PROVENANCE).write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n")


def _write_parts(folder: Path, base: DiffusionBase) -> None:
    from diffusers import StableDiffusionPipeline

    vae, unet, text_encoder = (copy.deepcopy(part).cpu().half() for part in (base.vae, base.unet, base.text_encoder))
    no_filter = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = StableDiffusionPipeline(vae, text_encoder, base.tokenizer, unet, base.scheduler, **no_filter)
    pipeline.save_pretrained(folder)
    if base.identity is not None:
        save_projection(folder / IDENTITY, base.identity)
    for part, added in (("vae", {}), ("unet", {}), ("text_encoder", {"dtype": "float32"})):
        config = folder / part / "config.json"  # else transformers would compute in 16 bits
        plain = {**json.loads(config.read_text()), **added}
        plain.pop("_name_or_path", None)  # a path on the disk of whoever made it
        config.write_text(json.dumps(plain, indent=2) + "\n")
