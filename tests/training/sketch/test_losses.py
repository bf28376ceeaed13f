"""The losses of pix2pix."""

from __future__ import annotations

import math

import torch

from reage.training.sketch import losses


def test_l1_is_the_mean_difference() -> None:
    assert losses.l1_loss(torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, -1.0], [0.0, 2.0]]]])) == 1


def test_a_generator_wants_its_patches_taken_for_true_ones() -> None:
    undecided = losses.adversarial_generator_loss(torch.zeros(1, 1, 3, 3))
    assert math.isclose(undecided.item(), math.log(2), rel_tol=1e-6)
    assert losses.adversarial_generator_loss(torch.full((1, 1, 3, 3), 4.0)) < undecided


def test_a_discriminator_wants_to_tell_them_apart() -> None:
    zeros, sure = torch.zeros(1, 1, 3, 3), torch.full((1, 1, 3, 3), 4.0)
    undecided = losses.adversarial_discriminator_loss(zeros, zeros)
    assert math.isclose(undecided.item(), math.log(2), rel_tol=1e-6)
    assert (
        losses.adversarial_discriminator_loss(-sure, sure)
        < undecided
        < losses.adversarial_discriminator_loss(sure, -sure)
    )


def test_weights_are_those_of_the_paper() -> None:
    assert losses.LossWeights() == losses.LossWeights(adversarial=1, l1=100)
