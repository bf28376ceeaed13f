"""DistillationDataset of a teacher, and an AMGAN that learns from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reage.data.augment import AugmentConfig
from reage.engines import load_engine
from reage.faces.aging_map import make_aging_map
from reage.faces.zone_scorer import ZoneScorer
from reage.images import load_image
from reage.nets.age import load_age_net
from reage.nets.amgan import tiny
from reage.training.amgan.calibration import MOST, measure_zone_gains
from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig, read_scores
from reage.training.amgan.samples import AGES as AGES_SHOWN
from reage.training.amgan.samples import NUM_FACES, Watcher
from reage.training.amgan.train import (
    Amgan,
    AmganTrainingConfig,
    LossWeights,
    cut_patches,
    describe,
    pool_to,
    refining,
    train_amgan,
)
from reage.training.distillation import (
    AGES,
    MAP_PX,
    DistillationDataset,
    Teacher,
    make_distillation_dataset,
    make_map_weights,
)
from reage.training.stored import load_arrays, save_arrays
from reage.training.trainer import TrainerConfig
from reage.types import Face
from reage.zones import ZONES

STEPS = TrainerConfig(steps=3, batch=2, weight_decay=0.0, half=False)
STILL = AugmentConfig(exposure=0.0, gamma=0.0, contrast=0.0, saturation=0.0, tint=0.0, lamp=0.0)
RECIPE = AmganTrainingConfig(net=tiny(), learn=STEPS, refine=STEPS)


@pytest.fixture(scope="module")
def lessons(make_portrait: Callable, to_columns: Callable, face: Face) -> DistillationDataset:
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_distillation_dataset(portraits, Teacher.load(load_engine("prototype")), 64)


def make_nets() -> Amgan:
    return Amgan(tiny(), load_age_net("age-a"), ZoneScorer.load("zones-a"))


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    torch.manual_seed(0)


def test_lessons_show_every_age_and_survive_a_file(lessons: DistillationDataset, tmp_path: Path) -> None:
    assert lessons.crops.shape == (2, 64, 64, 3)
    assert lessons.aged.shape == (2, len(AGES), 64, 64, 3)
    changes = np.abs(lessons.aged[0].astype(int) - lessons.crops[0]).mean((1, 2, 3))
    assert changes[-1] > changes[2]
    save_arrays(tmp_path / "lessons.npz", lessons)
    back = load_arrays(tmp_path / "lessons.npz", DistillationDataset)
    np.testing.assert_array_equal(back.aged, lessons.aged)
    np.testing.assert_array_equal(back.scores, lessons.scores)


def test_map_weights_make_any_map(lessons: DistillationDataset) -> None:
    points, hair = lessons.landmarks[0], lessons.hair[0]
    weights = make_map_weights(points, hair)
    scores = np.linspace(0, 1, len(ZONES))
    values = 0.1 + 0.9 * np.append(scores, (50 - 18) / (80 - 18))
    wanted = make_aging_map(
        64, points * 64 - 0.5, 50.0, dict(zip(ZONES, scores.tolist(), strict=True)), hair.astype(np.float32)
    )
    np.testing.assert_allclose(np.tensordot(values, weights, 1), wanted, atol=1e-4)


def test_batches_show_what_their_maps_say(lessons: DistillationDataset) -> None:
    deck = AmganDataset(lessons, AmganDatasetConfig(own_age=0.0, zoned=0.0, unscored=1.0))
    batch = deck.draw(32, torch.Generator().manual_seed(1))
    gap = batch.years - torch.from_numpy(lessons.read_years).mean()
    assert batch.planes.shape == (32, 4, 64, 64)
    assert batch.x.min() >= -1
    assert batch.x.max() <= 1
    middle = (slice(None), slice(None), slice(24, 40), slice(24, 40))
    asked = (batch.planes[:, :1] - batch.planes[:, 1:2])[middle].mean((1, 2, 3))
    assert (torch.sign(asked) == torch.sign(gap))[gap.abs() > 5].all()
    changed = (batch.y - batch.x).abs().mean((1, 2, 3))
    far, near = gap.abs() > 25, gap.abs() < 8
    assert changed[far].mean() > 2 * changed[near].mean()


def test_own_age_asks_for_nothing(lessons: DistillationDataset) -> None:
    deck = AmganDataset(lessons, AmganDatasetConfig(own_age=1.0, zoned=0.0))
    batch = deck.draw(8, torch.Generator().manual_seed(0))
    torch.testing.assert_close(batch.planes[:, 0], batch.planes[:, 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.x, batch.y, atol=1e-5, rtol=0)


def test_the_same_seed_draws_the_same_batch(lessons: DistillationDataset) -> None:
    deck = AmganDataset(lessons, AmganDatasetConfig())
    for draw in (deck.draw, deck.sample_unpaired):
        first, second = (draw(4, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(first.planes, second.planes)
        assert torch.equal(first.x, second.x)


def test_orders_are_in_the_maps(lessons: DistillationDataset) -> None:
    """What moves in the map is the zone whose score was asked for."""
    orders = AmganDataset(lessons, AmganDatasetConfig(one_zone=1.0)).sample_unpaired(
        16, torch.Generator().manual_seed(0)
    )
    assert orders.scores.shape == (16, len(ZONES))
    assert orders.skins.shape[:2] == (16, len(ZONES))
    assert 0 <= orders.skins.min() < orders.skins.max() <= 1
    masks = torch.from_numpy(make_map_weights(lessons.landmarks[0], lessons.hair[0]))[: len(ZONES)]
    moved = F.adaptive_avg_pool2d((orders.planes[:, 0] - orders.planes[:, 1]).abs(), MAP_PX)
    found = torch.einsum("bhw,zhw->bz", moved, masks / masks.sum((1, 2), keepdim=True)).argmax(1)
    now = torch.from_numpy(np.stack([lessons.scores] * 1)[0])
    expected = [(orders.scores[i] - now).abs().amin(0).nan_to_num(0).argmax() for i in range(16)]
    assert sum(int(a == b) for a, b in zip(found, expected, strict=True)) >= 14


def test_scores_are_read_off_pictures_as_the_scorer_reads_them(lessons: DistillationDataset) -> None:
    orders = AmganDataset(lessons, AmganDatasetConfig(augment=STILL)).sample_unpaired(
        8, torch.Generator().manual_seed(0)
    )
    x = orders.x.clone().requires_grad_(True)
    read = read_scores(ZoneScorer.load("zones-a"), x, orders)
    far = (read.detach()[:, None] - torch.from_numpy(lessons.scores)).abs().nanmean(2).amin(1)
    assert far.max() < 0.2  # crops of 64 px are enlarged by another rule
    read.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_patches_carry_their_place() -> None:
    x = torch.arange(64.0).expand(5, 1, 64, 64)
    patches = cut_patches(x, torch.Generator().manual_seed(0))
    assert patches.pictures.shape == (5, 1, 32, 32)
    torch.testing.assert_close(patches.pictures.mean((1, 2, 3)) + 0.5, 64 * patches.centres[:, 0])
    pooled = pool_to(2 * torch.ones(1, 1, 32, 32) - 1, torch.zeros(1, 1, 4, 4))
    assert torch.equal(pooled, torch.ones(1, 1, 4, 4))


def test_learning_lowers_the_distance_to_the_teacher(lessons: DistillationDataset) -> None:
    net = make_nets()
    batch = AmganDataset(lessons, AmganDatasetConfig()).draw(4, torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(net.generator.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = net.learn(batch, LossWeights())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_each_net_gets_gradients_from_its_own_losses_alone(lessons: DistillationDataset) -> None:
    deck, generator = AmganDataset(lessons, AmganDatasetConfig()), torch.Generator().manual_seed(0)
    batch, orders = deck.draw(2, generator), deck.sample_unpaired(2, generator)
    net = make_nets()
    none = LossWeights(likeness=0, detail=0, features=0, tint=0, shade=0, penalty=0)
    net.refine(batch, orders, none, generator).backward()
    assert all(one.grad is None or not one.grad.any() for one in net.generator.parameters())
    assert any(one.grad is not None and one.grad.any() for one in net.critic.parameters())
    for name in ("realism", "map", "place", "cycle", "age", "elsewhere", "zones", "way"):
        net.zero_grad()
        net.refine(batch, orders, replace(none, **{name: 1.0}), generator).backward()
        assert any(one.grad is not None and one.grad.any() for one in net.generator.parameters()), name
        assert name in net.seen


def test_a_zone_may_go_any_length_of_the_teachers_way_and_nowhere_else(lessons: DistillationDataset) -> None:
    orders = AmganDataset(lessons, AmganDatasetConfig()).sample_unpaired(4, torch.Generator().manual_seed(0))
    way = orders.ways - orders.x
    tint = 0.1 * torch.tensor([0.114, 0.0, -0.299])[:, None, None]  # of no light

    def far(change: torch.Tensor) -> float:
        return float(Amgan._off_the_way(orders, orders.x + change))

    assert far(0.5 * way) == pytest.approx(far(2 * way), abs=2e-3)
    assert far(way) < 0.1 * far(-way)
    for astray in (tint, 0.02 * torch.ones(3, 1, 1), 0.05 * torch.randn(way.shape)):
        assert far(way + astray) > far(way) + 0.005


def test_a_run_stopped_in_its_second_stage_does_not_learn_the_first_again(
    lessons: DistillationDataset, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, refine=replace(STEPS, checkpoint_seconds=0.0))
    seen: list[tuple[str, int]] = []

    def watch(stage: str, step: int, net: Amgan, mean: nn.Module) -> None:
        seen.append((stage, step))
        if seen.count(("refine", 2)) == 1 and (stage, step) == ("refine", 2):
            raise KeyboardInterrupt

    deck, checkpoint = AmganDataset(lessons, recipe.deck), tmp_path / "amgan.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_amgan(recipe, deck, checkpoint, watch)
    resumed = train_amgan(recipe, deck, checkpoint, watch)
    assert seen == [
        ("learn", 1),
        ("learn", 2),
        ("learn", 3),
        ("refine", 1),
        ("refine", 2),
        ("refine", 2),
        ("refine", 3),
    ]
    straight = train_amgan(recipe, deck)
    for mine, other in zip(resumed.generator.parameters(), straight.generator.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_a_run_of_both_stages_can_be_had_again(lessons: DistillationDataset, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    watcher = Watcher(tmp_path / "journal", RECIPE, AmganDataset(lessons, RECIPE.deck), steps_per_sheet=3)

    def watch(stage: str, step: int, net: Amgan, mean: nn.Module) -> None:
        seen.append((stage, step))
        watcher(stage, step, net, mean)

    deck = AmganDataset(lessons, RECIPE.deck)
    first = train_amgan(RECIPE, deck, tmp_path / "amgan.checkpoint", watch)
    assert seen == [("learn", 1), ("learn", 2), ("learn", 3), ("refine", 1), ("refine", 2), ("refine", 3)]
    second = train_amgan(RECIPE, deck)
    for mine, other in zip(first.generator.parameters(), second.generator.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
    gains = measure_zone_gains(first, deck, num_faces=2)
    assert len(gains) == len(ZONES)
    assert all(1 <= gain <= MOST for gain in gains)
    assert gains[ZONES.index("nasolabial.left")] == gains[ZONES.index("nasolabial.right")]
    story = describe(RECIPE, gains, 1.2)
    assert story["net"] == {"widths": (4, 8, 8), "num_blocks": 1, "hidden": 4, "gains": gains, "older": 1.2}
    assert {path.name for path in tmp_path.rglob("*.jpg")} == {"sheet-3.jpg", "sheet-6.jpg"}
    sheet = load_image(tmp_path / "journal" / "sheet-6.jpg").pixels
    assert sheet.shape == (NUM_FACES * 64, (1 + len(AGES_SHOWN)) * 64, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]
    assert refining().realism > 0


LAUNCHED = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from reage.nets.amgan import tiny
from reage.training.amgan.train import AmganTrainingConfig, train_amgan
from reage.training.amgan.dataset import AmganDataset
from reage.training.distillation import DistillationDataset
from reage.training.trainer import TrainerConfig, process_state
from reage.training.stored import load_arrays

torch.set_num_threads(1)
steps = TrainerConfig(steps=4, batch=4, weight_decay=0.0, half=False)
recipe = AmganTrainingConfig(net=tiny(), learn=steps, refine=replace(steps, steps=0))
losses = []
deck = AmganDataset(load_arrays(Path(sys.argv[1]), DistillationDataset), recipe.deck)
net = train_amgan(recipe, deck, watch=lambda stage, step, net, mean: losses.append(net.seen["loss"]))
if process_state().is_main_process:
    print(process_state().num_processes, *map(float, losses), next(net.generator.parameters()).abs().sum().item())
"""


def test_two_processes_train_as_one(
    lessons: DistillationDataset, tmp_path: Path, check_two_train_as_one: Callable
) -> None:
    """Each has half the batch, and the losses and weights are those of one process with all of it."""
    save_arrays(tmp_path / "lessons.npz", lessons)
    check_two_train_as_one(LAUNCHED, tmp_path / "lessons.npz")
