"""A run is a function: each recipe trains one set of shipped weights from shards and returns the file's content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import reage
from reage.errors import ReageError
from reage.portraits import Portraits, read_shards
from reage.training.journal import make_folder, watch_loss
from reage.training.run import DEFAULT_BASE, Run, Weights, find_commit
from reage.weights import save_weights

if TYPE_CHECKING:
    from reage.nets.diffusion import Base
    from reage.training.zones import ZoneRecipe


def parts(portraits: Portraits, run: Run) -> Weights:
    """The parser of skin and hair; about 5 minutes on one core."""
    from reage.training.parser import ParserRecipe, describe, train_parser

    recipe = ParserRecipe()
    net = train_parser(recipe, portraits, run.checkpoint, watch_loss(run.journal))
    return dict(net.state_dict()), describe(recipe)


def prototype(portraits: Portraits, run: Run) -> Weights:
    """The `prototype` engine; about a minute. Needs the weights `parts`."""
    from reage.matte import Parser
    from reage.training.prototype import PrototypeConfig, fit_prototype

    parser = Parser.load()
    training = portraits.pick(portraits.split == "train")
    return fit_prototype(training, lambda crop: parser.parse(crop).skin, PrototypeConfig())


def amgan(portraits: Portraits, run: Run) -> Weights:
    """The `amgan` engine; an hour on two cores. Needs the weights `prototype`, `parts`, `age-a` and `zones-a`."""
    from dataclasses import replace

    from rich.progress import track

    from reage.engines.prototype import PrototypeEngine
    from reage.training.amgan import AmganRecipe, describe, train_amgan
    from reage.training.deck import Deck
    from reage.training.gains import measure_gains, measure_older
    from reage.training.lessons import LESSON_PX, Lessons, Teacher, make_lessons
    from reage.training.samples import Watcher
    from reage.training.stored import load_arrays, save_arrays

    recipe, stored = AmganRecipe(), run.checkpoint.with_suffix(".lessons.npz")
    if not stored.exists():
        prototype = PrototypeEngine.load()
        prototype.strengths = replace(prototype.strengths, shape=recipe.teacher_shape)
        training, teacher = portraits.pick(portraits.split == "train"), Teacher.load(prototype)
        save_arrays(stored, make_lessons(training, teacher, LESSON_PX, lambda rows: track(rows, "lessons")))
    deck = Deck(load_arrays(stored, Lessons), recipe.deck)
    watch = Watcher(run.journal, recipe, deck) if run.journal else None
    net = train_amgan(recipe, deck, run.checkpoint, watch)
    return dict(net.generator.state_dict()), describe(recipe, measure_gains(net, deck), measure_older(net, deck))


def ldm_small(portraits: Portraits, run: Run) -> Base:
    """The base of the `ldla` engine; 100 minutes on two cores. Needs the weights `parts` and `zones-a`."""
    from reage.training.diffusion import fit_base

    return fit_base(portraits, run)


def ldla(portraits: Portraits, run: Run) -> Weights:
    """The `ldla` engine; three and a half hours on two cores. Needs its base (`ldm-small`) and what that needs."""
    from reage.training.diffusion import fit_ldla

    return fit_ldla(portraits, run)


def age_a(portraits: Portraits, run: Run) -> Weights:
    """The estimator that reads ages at run time; about 7 minutes on one core."""
    from reage.training import age_estimator

    return age_estimator.train_weights(age_estimator.age_a(), portraits, run.checkpoint, watch_loss(run.journal))


def age_b(portraits: Portraits, run: Run) -> Weights:
    """The estimator that only judges; about 7 minutes on one core."""
    from reage.training import age_estimator

    return age_estimator.train_weights(age_estimator.age_b(), portraits, run.checkpoint, watch_loss(run.journal))


def zones_a(portraits: Portraits, run: Run) -> Weights:
    """The scorer of zones that reads; about 5 minutes on one core. Needs the weights `parts`."""
    from reage.training import zones

    return _fit_zones(zones.zones_a(), portraits)


def zones_b(portraits: Portraits, run: Run) -> Weights:
    """The scorer of zones that only judges; about 5 minutes on one core. Needs the weights `parts`."""
    from reage.training import zones

    return _fit_zones(zones.zones_b(), portraits)


def _fit_zones(recipe: ZoneRecipe, portraits: Portraits) -> Weights:
    from reage.matte import Parser
    from reage.training.zones import fit_zone_scorer

    parser = Parser.load()
    return fit_zone_scorer(recipe, portraits.pick(portraits.split == "train"), parser.parse)


RECIPES: MappingProxyType[str, Callable[[Portraits, Run], Weights | Base]] = MappingProxyType(
    {
        "age-a": age_a,
        "age-b": age_b,
        "amgan": amgan,
        "ldla": ldla,
        "ldm-small": ldm_small,
        "parts": parts,
        "prototype": prototype,
        "zones-a": zones_a,
        "zones-b": zones_b,
    }
)


def train(
    name: str,
    shards: str | Path,
    out: str | Path | None = None,
    journal: str | Path | None = None,
    base: str = DEFAULT_BASE,
) -> Path:
    """Runs a recipe and writes its weights with their config, seed and commit inside.

    Args:
        name: of the recipe and of the weights.
        shards: folder of portraits made by `prepare`.
        out: weights file, of a base the folder; by default NAME.safetensors in the current folder.
        journal: folder for the losses, of this run alone; None keeps none.
        base: of recipes that go on from one.

    Raises:
        ReageError: when there is no such recipe, the shards cannot be read, or the folder cannot be made.
    """
    if name not in RECIPES:
        raise ReageError(f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}.")
    path = Path(out or f"{name}.safetensors")
    run = Run(checkpoint=path.with_suffix(".checkpoint"), journal=Path(journal) if journal else None, base=base)
    portraits = read_shards(shards)
    if run.journal:
        make_folder(run.journal)
    origin = {"name": name, "commit": find_commit(), "version": reage.__version__}
    made = RECIPES[name](portraits, run)
    if isinstance(made, tuple):
        tensors, config = made
        save_weights(path, tensors, {**config, **origin})
        return path
    from reage.nets.diffusion import save_base

    save_base(path.with_suffix(""), made, {**made.provenance, **origin})
    return path.with_suffix("")
