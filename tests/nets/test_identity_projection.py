"""Identity tokens: their file, and a base with and without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.errors import WeightsError
from reage.nets.diffusion import DiffusionBase, build_base, load_base, save_base, tiny
from reage.nets.diffusion_folder import IDENTITY
from reage.nets.identity_projection import IdentityConfig, IdentityProjection, load_projection, save_projection
from reage.nets.sampling import FROM_NOISE, generate_pictures
from reage.nets.tokens import build_tokenizer

PROMPT = "photo of a person"
IDENTITIES = torch.randn(2, 128, generator=torch.Generator().manual_seed(1)) / 11


@pytest.fixture(scope="module")
def make() -> Callable[[bool], DiffusionBase]:
    """Builds a tiny base, with or without an identity projection."""

    def build(with_identity: bool) -> DiffusionBase:
        torch.manual_seed(0)
        config = tiny() if with_identity else replace(tiny(), identity=None)
        return build_base(config, build_tokenizer([PROMPT]), "ldm-tiny")

    return build


def test_tokens_follow_the_text(make: Callable[[bool], DiffusionBase]) -> None:
    base = make(True)
    with torch.inference_mode():
        plain, both = base.embed([PROMPT] * 2), base.embed([PROMPT] * 2, IDENTITIES)
    assert both.shape == (2, plain.shape[1] + 2, plain.shape[2])
    assert torch.equal(both[:, :-2], plain)
    assert not torch.equal(both[0, -2:], both[1, -2:])
    assert base.num_parameters["identity"] == sum(weight.numel() for weight in base.identity.parameters())


def test_a_base_without_identities_says_so(make: Callable[[bool], DiffusionBase]) -> None:
    base = make(False)
    assert "identity" not in base.num_parameters
    with pytest.raises(WeightsError, match="'ldm-tiny' was not trained with identities"):
        base.embed([PROMPT] * 2, IDENTITIES)


def test_the_other_weights_do_not_depend_on_it(make: Callable[[bool], DiffusionBase]) -> None:
    with_identity, without = (make(flag).unet.state_dict() for flag in (True, False))
    assert all(torch.equal(value, without[name]) for name, value in with_identity.items())


def test_the_folder_keeps_it_and_diffusers_reads_the_rest(
    make: Callable[[bool], DiffusionBase], tmp_path: Path
) -> None:
    from diffusers import StableDiffusionPipeline

    base = make(True)
    save_base(tmp_path / "base", base)
    loaded = load_base(tmp_path / "base")
    assert loaded.identity is not None
    assert loaded.identity.config == base.identity.config
    for name, value in base.identity.state_dict().items():
        assert torch.equal(value.half().float(), loaded.identity.state_dict()[name]), name
    assert not any(weight.requires_grad for weight in loaded.identity.parameters())
    StableDiffusionPipeline.from_pretrained(tmp_path / "base", local_files_only=True)
    (tmp_path / "base" / IDENTITY).unlink()
    without = load_base(tmp_path / "base")
    assert without.identity is None
    assert without.weights_hash != loaded.weights_hash
    assert without.hash_without_denoiser == loaded.hash_without_denoiser


def test_tokens_of_another_size_are_refused(make: Callable[[bool], DiffusionBase], tmp_path: Path) -> None:
    save_base(tmp_path / "base", make(True))
    save_projection(tmp_path / "base" / IDENTITY, IdentityProjection(IdentityConfig(), 24))
    with pytest.raises(WeightsError, match="have 24 numbers, its texts 16"):
        load_base(tmp_path / "base")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    projection = IdentityProjection(IdentityConfig(num_tokens=1), 8)
    save_projection(tmp_path / IDENTITY, projection)
    assert load_projection(tmp_path / IDENTITY).config == projection.config
    (tmp_path / IDENTITY).write_bytes(b"x")
    with pytest.raises(WeightsError):
        load_projection(tmp_path / IDENTITY)


def test_an_identity_changes_generated_pictures(make: Callable[[bool], DiffusionBase]) -> None:
    base, quick = make(True), replace(FROM_NOISE, num_inference_steps=2)
    plain, one, other, again = (
        next(generate_pictures(base, PROMPT, 1, config=quick, identity=identity))
        for identity in (None, IDENTITIES[0].numpy(), IDENTITIES[1].numpy(), IDENTITIES[0].numpy())
    )
    np.testing.assert_array_equal(one, again)
    assert (one != plain).any()
    assert (one != other).any()
