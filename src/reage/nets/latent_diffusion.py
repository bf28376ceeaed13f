"""The nets of a small latent diffusion base: their sizes, and how diffusers and transformers build them.

After "High-Resolution Image Synthesis with Latent Diffusion Models" (Rombach et al., CVPR 2022, arXiv 2112.10752);
`reage.nets.diffusion` puts them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from reage.nets.tokens import find_number_ids, make_number_curve

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Size of the autoencoder.

    Args:
        widths: channels at 1, 1/2, 1/4, ... of the picture's side; the last is that of the latents.
        latent_channels: of the latents.
        layers: residual blocks at each of them.
        groups: of a group norm; divides every width.
    """

    widths: tuple[int, ...] = (32, 64, 64)
    latent_channels: int = 4
    layers: int = 1
    groups: int = 16


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Size of the denoiser; it follows the text at all levels but the first.

    Args:
        widths: channels at 1, 1/2, 1/4, ... of the latents' side.
        layers: residual blocks at each of them.
        heads: of attention; divides every width.
        groups: of a group norm; divides every width.
        side: of the latents it learns from, px; others will do.
    """

    widths: tuple[int, ...] = (64, 128, 128)
    layers: int = 1
    heads: int = 4
    groups: int = 32
    side: int = 24


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Size of the text encoder; `max_tokens` counts both marks around a prompt."""

    width: int = 128
    layers: int = 2
    heads: int = 4
    max_tokens: int = 32


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """A whole base."""

    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    text: TextConfig = field(default_factory=TextConfig)


def tiny() -> DiffusionConfig:
    """For tests."""
    return DiffusionConfig(
        autoencoder=AutoencoderConfig(widths=(8, 16), groups=4),
        denoiser=DenoiserConfig(widths=(8, 16), heads=2, groups=4, side=8),
        text=TextConfig(width=16, layers=1, heads=2),
    )


def small() -> DiffusionConfig:
    """One that a CPU can train: 8.2 M parameters, 16 MB in 16 bits."""
    return DiffusionConfig()


def build_autoencoder(config: AutoencoderConfig) -> AutoencoderKL:
    """Untrained."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(config.widths),
        up_block_types=("UpDecoderBlock2D",) * len(config.widths),
        block_out_channels=config.widths,
        layers_per_block=config.layers,
        latent_channels=config.latent_channels,
        norm_num_groups=config.groups,
    )


def build_denoiser(config: DiffusionConfig) -> UNet2DConditionModel:
    """Untrained."""
    from diffusers import UNet2DConditionModel

    sizes, deeper = config.denoiser, len(config.denoiser.widths) - 1
    return UNet2DConditionModel(
        sample_size=sizes.side,
        in_channels=config.autoencoder.latent_channels,
        out_channels=config.autoencoder.latent_channels,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * deeper),
        up_block_types=(*("CrossAttnUpBlock2D",) * deeper, "UpBlock2D"),
        block_out_channels=sizes.widths,
        layers_per_block=sizes.layers,
        norm_num_groups=sizes.groups,
        cross_attention_dim=config.text.width,
        attention_head_dim=sizes.heads,  # diffusers' word for the number of heads
    )


def build_text_encoder(config: TextConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Untrained, but the tokens of numbers begin alike where the numbers are near."""
    from transformers import CLIPTextConfig, CLIPTextModel

    assert tokenizer.model_max_length <= config.max_tokens, tokenizer.model_max_length
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            projection_dim=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.max_tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    embeddings = text_encoder.get_input_embeddings().weight.data
    if ids := find_number_ids(tokenizer):
        embeddings[ids] = make_number_curve(config.width, float(embeddings.std()))
    return text_encoder


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Keeps "diffusers" or "transformers" from warning and drawing bars; what goes wrong is raised anyway."""
    logging = import_module(f"{library}.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
