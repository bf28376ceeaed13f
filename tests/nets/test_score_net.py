"""LDLA's ScoreNet."""

from __future__ import annotations

import torch

from reage.nets.score_net import ScoreNetConfig, build_score_net, tiny_score_net
from reage.zones import ZONES


def test_scores_lie_in_0_to_1_for_any_size_of_latents() -> None:
    net = build_score_net(tiny_score_net(3))
    for side in (8, 16):
        scores = net(torch.randn(2, 3, side, side), torch.tensor([0, len(ZONES) - 1]))
        assert scores.shape == (2,)
        assert 0 < scores.min() <= scores.max() < 1


def test_the_zone_counts() -> None:
    torch.manual_seed(0)
    net, latents = build_score_net(tiny_score_net(4)), torch.randn(1, 4, 8, 8)
    scores = net(latents.expand(len(ZONES), -1, -1, -1), torch.arange(len(ZONES)))
    assert len(set(scores.tolist())) == len(ZONES)


def test_it_learns_scores_that_latents_show() -> None:
    torch.manual_seed(0)
    net = build_score_net(tiny_score_net(4))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses, stripes = [], torch.tensor([1.0, -1.0]).repeat(4)
    for _ in range(60):
        scores, zones = torch.rand(16), torch.randint(len(ZONES), (16,))
        latents = torch.randn(16, 4, 8, 8) + 3 * scores[:, None, None, None] * stripes
        loss = (net(latents, zones) - scores).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_it_has_less_than_a_million_parameters() -> None:
    assert sum(weight.numel() for weight in build_score_net(ScoreNetConfig()).parameters()) < 1_000_000
