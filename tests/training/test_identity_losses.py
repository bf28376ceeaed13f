"""The losses of identity-preserving fine-tuning: their values where they are known, and that they can be lowered."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from reage.faces.patches import FACE, cut_patches
from reage.images.tensors import to_net
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance
from reage.training.dreambooth.losses import TEMPERATURE, biometric_loss, contrastive_loss, cosine_loss, load_embed
from reage.types import Face


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def biometric(found: Tensor, noise: Tensor) -> Tensor:
    return biometric_loss(found.flatten(1), noise.flatten(1), torch.ones(len(found)))


LOSSES = (cosine_loss, contrastive_loss, biometric)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_falls_when_it_is_followed_and_is_low_at_the_truth(loss: Callable[..., Tensor]) -> None:
    noise, found = draw(4, 2, 6, 6), draw(4, 2, 6, 6, seed=1).requires_grad_(True)
    steps = []
    for _ in range(60):
        value = loss(found, noise)
        (gradient,) = torch.autograd.grad(value, found)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
        steps.append(value.item())
        found = (found - 2.0 * gradient / gradient.norm()).detach().requires_grad_(True)
    assert steps[-1] < 0.7 * steps[0]
    assert loss(noise, noise) < 0.5 * steps[0]


def test_cosine_is_nothing_at_the_truth_and_two_at_its_opposite() -> None:
    noise = draw(3, 4, 5, 5)
    assert cosine_loss(3 * noise, noise).item() == pytest.approx(0, abs=1e-6)
    assert cosine_loss(-noise, noise).item() == pytest.approx(2, abs=1e-6)


def test_contrastive_is_known_where_all_vectors_are_square_to_each_other() -> None:
    """B found as they are: the partner's cosine is 1, all others' are 0."""
    noise = torch.eye(16).reshape(4, 4, 4, 4).transpose(0, 1)
    wanted = -math.log(math.exp(1 / TEMPERATURE) / (math.exp(1 / TEMPERATURE) + 2 * 4 - 2))
    assert contrastive_loss(noise, noise).item() == pytest.approx(wanted, abs=1e-5)


def test_contrastive_tells_pictures_apart() -> None:
    noise = draw(4, 2, 8, 8)
    assert contrastive_loss(noise, noise) < contrastive_loss(noise.roll(1, 0), noise)


def test_contrastive_needs_two_pictures() -> None:
    with pytest.raises(AssertionError):
        contrastive_loss(draw(1, 2, 4, 4), draw(1, 2, 4, 4))


def test_biometric_does_not_count_what_cannot_be_seen() -> None:
    one, other = draw(3, 8), draw(3, 8, seed=1)
    assert biometric_loss(one, other, torch.zeros(3)) == 0
    alone = biometric_loss(one[:1], other[:1], torch.ones(1))
    assert biometric_loss(one, other, torch.tensor([1.0, 0, 0])).item() == pytest.approx(alone.item() / 3, abs=1e-6)


def test_biometric_does_not_depend_on_length() -> None:
    one, other = draw(3, 8), draw(3, 8, seed=1)
    longer = biometric_loss(5 * one, 0.1 * other, torch.ones(3))
    torch.testing.assert_close(longer, biometric_loss(one, other, torch.ones(3)))


def test_the_face_net_sees_in_a_square_whom_it_sees_in_a_photo(face: Face) -> None:
    points = face.to_crop(face.landmarks)
    x = to_net(cut_patches(face.crop, points, [FACE], 384)).requires_grad_(True)
    seen = load_embed(torch.device("cpu"))(x)
    who = DlibRecognizer.load().embed(face.crop, points)
    assert identity_distance(seen[0].detach().numpy(), who) < 0.6 * SAME_PERSON_DISTANCE
    (gradient,) = torch.autograd.grad(seen.square().sum(), x)
    inner = gradient[..., 96:288, 96:288].abs().mean()
    assert inner > 0
    assert gradient[..., :24].abs().max() == 0, "dlib does not look at the border of the square"
