"""Trains an age estimator on dated portraits: fine-tune, then undo some of its regression to the mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.images.geometry import resize
from reage.images.tensors import to_net
from reage.nets.age import AgeNet, AgeNetConfig, build_age_net
from reage.nets.dlib_resnet import TrunkConfig
from reage.portraits import Portraits
from reage.training.augment import AugmentConfig, augment
from reage.training.loop import Schedule, fit
from reage.training.split import fold_of

_BATCH_READ = 32


@dataclass(frozen=True, kw_only=True)
class AgeRecipe:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        crop_px: side to which the crops are resampled before anything else.
        left_out_fold: fold of the training people that the fit never sees; they serve to correct its bias.
        folds: number of folds.
        net: what is trained.
        from_dlib: start from dlib's face net.
        augment: accidents that the portraits meet.
        schedule: length and speed.
        trunk_rate: highest learning rate of the trunk, as a share of the size of the weights.
        head_rate: highest learning rate of the head.
        balance: 0 draws portraits as often as they are, 1 draws every decade of age equally often.
        correction: share of the measured regression to the mean that is undone, 0 to 1.
    """

    seed: int
    left_out_fold: int
    schedule: Schedule
    crop_px: int = 200
    folds: int = 8
    net: AgeNetConfig = field(default_factory=AgeNetConfig)
    from_dlib: bool = True
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    trunk_rate: float = 0.002
    head_rate: float = 1e-3
    balance: float = 0.5
    correction: float = 0.5


def age_a() -> AgeRecipe:
    """The estimator that reads the age of a face before it is changed."""
    return AgeRecipe(seed=0, left_out_fold=0, schedule=Schedule(steps=2000, batch=16))


def age_b() -> AgeRecipe:
    """The estimator that judges: it reads other stages, and learned from other people, from another seed."""
    net = AgeNetConfig(trunk=TrunkConfig(stages=TrunkConfig().stages[:4]), stages_read=(0, 2, 3))
    return AgeRecipe(seed=1, left_out_fold=1, net=net, schedule=Schedule(steps=2000, batch=16))


def train_age_estimator(recipe: AgeRecipe, portraits: Portraits, checkpoint: Path | None = None) -> AgeNet:
    """Trains on the people of the "train" split and returns the estimator, its bias corrected.

    Args:
        recipe: of the run.
        portraits: all portraits; those of the "val" split are not looked at.
        checkpoint: file that a stopped run is resumed from.
    """
    portraits = resize_crops(portraits, recipe.crop_px)
    left_out = left_out_rows(recipe, portraits)
    seen = portraits.pick((portraits.split == "train") & ~left_out)
    torch.manual_seed(recipe.seed)
    net = build_age_net(recipe.net, from_dlib=recipe.from_dlib)
    weights = torch.from_numpy(sampling_weights(seen.age_years, recipe.balance))

    def loss_of(generator: Generator) -> Tensor:
        rows = torch.multinomial(weights, recipe.schedule.batch, replacement=True, generator=generator).numpy()
        crops = augment(to_net(seen.crops[rows]), recipe.augment, generator)
        is_man = torch.from_numpy(seen.sex[rows] == "M").float()
        return net.loss(crops, torch.from_numpy(seen.age_years[rows]), is_man)

    mean = fit(net, loss_of, learning_rates(net, recipe), recipe.schedule, seed=recipe.seed, checkpoint=checkpoint)
    assert isinstance(mean, AgeNet)
    return correct_bias(mean, portraits.pick(left_out), recipe.correction)


def learning_rates(net: AgeNet, recipe: AgeRecipe) -> list[tuple[nn.Module, float]]:
    """Parts of the net with their rates; a convolution's is in proportion to its weights, whose sizes differ widely."""
    trunk = [(layer, recipe.trunk_rate * layer.weight.std().item()) for layer in net.trunk.convolutions()]
    return [*trunk, (net.head, recipe.head_rate)]


def resize_crops(portraits: Portraits, crop_px: int) -> Portraits:
    """The same portraits with crops of (crop_px, crop_px); all that is measured in crop px still means the old ones."""
    return replace(portraits, crops=np.stack([resize(crop, crop_px, crop_px) for crop in portraits.crops]))


def left_out_rows(recipe: AgeRecipe, portraits: Portraits) -> NDArray[np.bool_]:
    """(N,) the portraits of training people that the fit never sees."""
    folds = np.array([fold_of(person, recipe.folds, "age") for person in portraits.person.tolist()], np.int64)
    return (portraits.split == "train") & (folds == recipe.left_out_fold)


def sampling_weights(age_years: NDArray[np.float32], balance: float) -> NDArray[np.float64]:
    """(N,) how often each portrait is drawn, in parts of 1, so that rare decades of age are seen more often."""
    decades = (age_years // 10).astype(np.int64)
    weights = (np.bincount(decades)[decades] + 1.0) ** -balance
    return weights / weights.sum()


@torch.no_grad()
def read_ages(net: AgeNet, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, S, S, 3) -> (N,) the corrected expected age, the mean of a picture and its mirror image."""
    ages = []
    for start in range(0, len(crops), _BATCH_READ):
        x = to_net(crops[start : start + _BATCH_READ])
        ages.append((net.predict(x)[0] + net.predict(x.flip(3))[0]) / 2)
    return torch.cat(ages).double().numpy()


def correct_bias(net: AgeNet, portraits: Portraits, share: float) -> AgeNet:
    """The same estimator with a straight line on its expectation, fitted on people it has not seen.

    The line of least squares from true age to reading is inverted; undoing all of the regression would multiply the
    noise as well, so only a share of it is undone.
    """
    raw = read_ages(net, portraits.crops)
    regression, _ = np.polyfit(portraits.age_years.astype(np.float64), raw, 1)
    slope = float(1 + share * (1 / max(regression, 0.4) - 1))
    offset = float(portraits.age_years.mean() - slope * raw.mean())
    net.config = replace(net.config, slope=slope, offset_years=offset)
    return net


def train_weights(
    recipe: AgeRecipe, portraits: Portraits, checkpoint: Path
) -> tuple[dict[str, Tensor], dict[str, object]]:
    """What a weights file holds: the tensors of the trained estimator by name, and its config."""
    net = train_age_estimator(recipe, portraits, checkpoint)
    return net.state_dict(), describe(recipe, net)


def describe(recipe: AgeRecipe, net: AgeNet) -> dict[str, object]:
    """What the weights file says about the weights: the net's config with its correction, the recipe and its seed."""
    return {"net": asdict(net.config), "recipe": asdict(recipe), "seed": recipe.seed}
