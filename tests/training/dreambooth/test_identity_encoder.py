"""The identity encoder of the biometric loss: it agrees with dlib's recognizer, and gradients reach the face."""

from __future__ import annotations

import torch

from reage.faces.patches import FACE, cut_patches
from reage.images.tensors import to_net
from reage.measure import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance
from reage.training.dreambooth.identity_encoder import load_identity_encoder
from reage.types import Face


def test_the_identity_of_a_patch_is_that_of_the_photo(face: Face) -> None:
    points = face.to_crop(face.landmarks)
    x = to_net(cut_patches(face.crop, points, [FACE], 384)).requires_grad_(True)
    identities = load_identity_encoder(torch.device("cpu"))(x)
    identity = DlibRecognizer.load().embed(face.crop, points)
    assert identity_distance(identities[0].detach().numpy(), identity) < 0.6 * SAME_PERSON_DISTANCE
    (gradient,) = torch.autograd.grad(identities.square().sum(), x)
    inner = gradient[..., 96:288, 96:288].abs().mean()
    assert inner > 0
    assert gradient[..., :24].abs().max() == 0, "dlib does not use the border of the patch"
