"""Text tokens made from the embedding of a face, so that a denoiser is conditioned on a person as it is on a text.

After IP-Adapter (Ye et al., 2023, arXiv 2308.06721), whose tokens come from CLIP's embedding of a picture, and go to
attention layers of their own; here they follow the tokens of the text in the same layers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor, nn

from reage.errors import WeightsError
from reage.weights import load_torch_weights, made_for, save_weights


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Size of the projection.

    Args:
        embedding_size: numbers of a face's embedding, which has a length of about 1.
        num_tokens: tokens made of it.
        hidden_size: of the layer between.
    """

    embedding_size: int = 128
    num_tokens: int = 4
    hidden_size: int = 256


class IdentityProjection(nn.Module):
    """Makes tokens of embeddings.

    Args:
        config: size.
        text_size: C, length of a token of the text encoder.
    """

    def __init__(self, config: IdentityConfig, text_size: int) -> None:
        super().__init__()
        self.config = config
        self.text_size = text_size
        self.net = nn.Sequential(
            nn.Linear(config.embedding_size, config.hidden_size),
            nn.GELU(),
            nn.Linear(config.hidden_size, config.num_tokens * text_size),
        )
        self.norm = nn.LayerNorm(text_size)

    def forward(self, identities: Tensor) -> Tensor:
        """Embeddings (B, embedding_size) -> tokens (B, num_tokens, C)."""
        values = self.net(identities * math.sqrt(self.config.embedding_size))
        tokens: Tensor = self.norm(values.unflatten(1, (self.config.num_tokens, self.text_size)))
        return tokens


def save_projection(path: Path, projection: IdentityProjection) -> None:
    """Writes the weights in 16 bits, with the sizes in the same file.

    Raises:
        WeightsError: when the file cannot be written.
    """
    sizes = {"net": asdict(projection.config), "text_size": projection.text_size}
    save_weights(path, projection.state_dict(), sizes)


def load_projection(path: Path) -> IdentityProjection:
    """Reads what `save_projection` wrote.

    Raises:
        WeightsError: when the file is damaged or of something else.
    """
    tensors, sizes = load_torch_weights(path)
    with made_for(path, "an identity projection"):
        projection = IdentityProjection(IdentityConfig(**sizes["net"]), int(sizes["text_size"]))
        projection.load_state_dict(tensors)
    return projection


def require_projection(projection: IdentityProjection | None, base: str) -> IdentityProjection:
    """The projection of a base.

    Raises:
        WeightsError: when it has none.
    """
    if projection is None:
        raise WeightsError(
            f"The diffusion base '{base}' was not trained with identities; leave the identity out, or use a base with "
            "an identity.safetensors, as reage training fit ldm-small makes it."
        )
    return projection
