"""The nets of a small latent diffusion base: their sizes, and their building with diffusers and transformers.

After "High-Resolution Image Synthesis with Latent Diffusion Models" (Rombach et al., CVPR 2022, arXiv 2112.10752);
`reage.nets.diffusion` joins them to a base.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from reage.nets.identity_projection import IdentityConfig
from reage.nets.tokens import find_number_ids, make_number_curve

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Size of the autoencoder.

    Args:
        channels: at 1, 1/2, 1/4, ... of the picture's side; the last level has the side of the latents.
        latent_channels: of the latents.
        layers_per_block: residual blocks at each level.
        norm_groups: groups of the group norms; divides all channels.
    """

    channels: tuple[int, ...] = (32, 64, 64)
    latent_channels: int = 4
    layers_per_block: int = 1
    norm_groups: int = 16


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Size of the denoiser, which has cross-attention to the text at all levels but the first.

    Args:
        channels: at 1, 1/2, 1/4, ... of the latents' side.
        layers_per_block: residual blocks at each level.
        num_heads: attention heads; divides all channels.
        norm_groups: groups of the group norms; divides all channels.
        latent_px: side of the latents it is trained on; it also takes others.
    """

    channels: tuple[int, ...] = (64, 128, 128)
    layers_per_block: int = 1
    num_heads: int = 4
    norm_groups: int = 32
    latent_px: int = 24


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Size of the text encoder.

    Args:
        hidden_size: length of an embedding.
        num_layers: transformer layers.
        num_heads: attention heads.
        max_tokens: of the longest prompt, with start and end token.
    """

    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 4
    max_tokens: int = 32


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """Sizes of the parts of a base; without an identity projection, it takes texts alone."""

    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    text: TextConfig = field(default_factory=TextConfig)
    identity: IdentityConfig | None = field(default_factory=IdentityConfig)


def tiny() -> DiffusionConfig:
    """A configuration for tests."""
    return DiffusionConfig(
        autoencoder=AutoencoderConfig(channels=(8, 16), norm_groups=4),
        denoiser=DenoiserConfig(channels=(8, 16), num_heads=2, norm_groups=4, latent_px=8),
        text=TextConfig(hidden_size=16, num_layers=1, num_heads=2),
        identity=IdentityConfig(num_tokens=2, hidden_size=8),
    )


def small() -> DiffusionConfig:
    """The configuration of `ldm-small`, which a CPU can train: 8.3 M parameters, 17 MB in 16 bits."""
    return DiffusionConfig()


def build_autoencoder(config: AutoencoderConfig) -> AutoencoderKL:
    """An untrained autoencoder."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(config.channels),
        up_block_types=("UpDecoderBlock2D",) * len(config.channels),
        block_out_channels=config.channels,
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
    )


def build_denoiser(config: DiffusionConfig) -> UNet2DConditionModel:
    """An untrained denoiser."""
    from diffusers import UNet2DConditionModel

    sizes, deeper = config.denoiser, len(config.denoiser.channels) - 1
    return UNet2DConditionModel(
        sample_size=sizes.latent_px,
        in_channels=config.autoencoder.latent_channels,
        out_channels=config.autoencoder.latent_channels,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * deeper),
        up_block_types=(*("CrossAttnUpBlock2D",) * deeper, "UpBlock2D"),
        block_out_channels=sizes.channels,
        layers_per_block=sizes.layers_per_block,
        norm_num_groups=sizes.norm_groups,
        cross_attention_dim=config.text.hidden_size,
        attention_head_dim=sizes.num_heads,  # so diffusers calls the number of heads
    )


def build_text_encoder(config: TextConfig, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder, in which the embeddings of neighbouring numbers are similar."""
    from transformers import CLIPTextConfig, CLIPTextModel

    assert tokenizer.model_max_length <= config.max_tokens, tokenizer.model_max_length
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            intermediate_size=4 * config.hidden_size,
            projection_dim=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            max_position_embeddings=config.max_tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    embeddings = text_encoder.get_input_embeddings().weight.data
    if ids := find_number_ids(tokenizer):
        embeddings[ids] = make_number_curve(config.hidden_size, float(embeddings.std()))
    return text_encoder


@contextmanager
def without_logging(library: str) -> Iterator[None]:
    """Turns off the warnings and progress bars of "diffusers" or "transformers"; errors are raised as always."""
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
