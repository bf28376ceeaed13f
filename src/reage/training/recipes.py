"""The recipes: each name stands for a full configuration and the function that trains with it.

A configuration is a frozen dataclass; `reage training show NAME` prints it, and it is stored inside the weights file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import reage
from reage.data.shards import read_shards
from reage.errors import ReageError
from reage.training.logger import make_folder
from reage.training.runner import DEFAULT_BASE, RunContext, find_commit
from reage.weights import save_weights


@dataclass(frozen=True)
class Recipe:
    """One way to make a weights file.

    Args:
        module: where both functions are.
        config: name of the function that returns the configuration.
        run: name of the function (config, portraits or scenes, context) that returns tensors and config, or a
            diffusion base.
        summary: what comes out, how long that takes, and the weights that it needs.
        needs_ages: whether portraits of unknown age or sex are left out.
        learns_from_scenes: whether it is given what `reage training label` wrote, see
            `reage.training.measures.scenes`, instead of portraits.
    """

    module: str
    config: str
    run: str
    summary: str
    needs_ages: bool = True
    learns_from_scenes: bool = False

    def load_config(self) -> Any:
        """The configuration."""
        return getattr(import_module(self.module), self.config)()

    def load_run(self) -> Any:
        """The function that trains."""
        return getattr(import_module(self.module), self.run)


_MEASURES = "reage.training.measures"

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "age-a": Recipe(
            f"{_MEASURES}.age_estimator",
            "age_a",
            "run",
            "the age estimator that engines and commands use; 15 minutes on two cores; `reage training export` then",
            needs_ages=False,
        ),
        "age-b": Recipe(
            f"{_MEASURES}.age_estimator",
            "age_b",
            "run",
            "the age estimator that only judges; 15 minutes on two cores; `reage training export` then",
            needs_ages=False,
        ),
        "agetransgan": Recipe(
            "reage.training.agetransgan.train",
            "agetransgan",
            "run",
            "the `agetransgan` engine; two hours on one core; needs exemplar, face-parser and age-a; export it then",
            needs_ages=False,
        ),
        "aifd": Recipe(
            "reage.training.aifd.train",
            "aifd",
            "run",
            "the recognizer `aifd`; 20 minutes on one core after the cross-age set; needs exemplar, face-parser, age-a",
            needs_ages=False,
        ),
        "amgan": Recipe(
            "reage.training.amgan.train",
            "amgan",
            "run",
            "the `amgan` engine; an hour on one core; needs exemplar, face-parser, age-a and zones-a; export it then",
            needs_ages=False,
        ),
        "deaging": Recipe(
            "reage.training.deaging.train",
            "deaging",
            "run",
            "the `deaging` engine; half an hour on one core after the cross-age set; needs exemplar, face-parser, "
            "age-a and aifd; export it then",
            needs_ages=False,
        ),
        "deaging-published": Recipe(
            "reage.training.deaging.train",
            "deaging_published",
            "run",
            "the net of `deaging` in its published form, to be compared with; ten minutes on one core; needs the same",
            needs_ages=False,
        ),
        "face-parser": Recipe(
            f"{_MEASURES}.face_parser",
            "face_parser",
            "run",
            "the face parser, from labelled photos; about 25 minutes on two cores; `reage training export` then",
            learns_from_scenes=True,
        ),
        "headwear": Recipe(
            f"{_MEASURES}.headwear",
            "headwear",
            "run",
            "tells headwear from hair; about 5 minutes on one core; needs face-parser",
            needs_ages=False,
        ),
        "landmark-transfer": Recipe(
            "reage.training.landmark_transfer.train",
            "landmark_transfer",
            "run",
            "how one face takes the expression of another; about two minutes on one core; export it then",
            needs_ages=False,
        ),
        "ldla": Recipe(
            "reage.training.ldla.train",
            "ldla",
            "run",
            "the `ldla` engine; three and a half hours on two cores; needs its base and what that needs",
        ),
        "ldm-small": Recipe(
            "reage.training.diffusion.train",
            "ldm_small",
            "run",
            "the base of the `ldla` engine; an hour on one core; needs the base before, face-parser and zones-a",
            needs_ages=False,
        ),
        "exemplar": Recipe(
            "reage.training.exemplar",
            "exemplar",
            "run",
            "the `exemplar` engine, from crops of 640 px; 15 minutes on one core; needs face-parser and age-a",
            needs_ages=False,
        ),
        "reenactment": Recipe(
            "reage.training.reenactment.train",
            "reenactment",
            "run",
            "what a face shows when it turns, from crops of 640 px; two hours on one core; export it then",
            needs_ages=False,
        ),
        "sketch": Recipe(
            "reage.training.sketch.train",
            "sketch",
            "run",
            "photo to sketch; 30 minutes on one core; needs face-parser; export it then",
            needs_ages=False,
        ),
        "sketch-detection": Recipe(
            f"{_MEASURES}.sketch_detector",
            "sketch_detection",
            "run",
            "tells sketches from photos; about 4 minutes on one core; needs face-parser and sketch",
            needs_ages=False,
        ),
        "sketch-to-photo": Recipe(
            "reage.training.sketch.train",
            "sketch_to_photo",
            "run",
            "sketch to photo; 30 minutes on one core; needs face-parser; export it then",
            needs_ages=False,
        ),
        "skin": Recipe(
            f"{_MEASURES}.skin_scorer",
            "skin",
            "run",
            "the scorer of dark spots and redness; about 3 minutes on one core; needs face-parser",
            needs_ages=False,
        ),
        "zones-a": Recipe(
            f"{_MEASURES}.zone_scorer",
            "zones_a",
            "run",
            "the zone scorer that engines and commands use; about 5 minutes on one core; needs face-parser",
        ),
        "zones-b": Recipe(
            f"{_MEASURES}.zone_scorer",
            "zones_b",
            "run",
            "the zone scorer that only judges; about 5 minutes on one core; needs face-parser",
        ),
    }
)


def find_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        ReageError: when there is none.
    """
    if name not in RECIPES:
        raise ReageError(f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]


def train(
    name: str,
    shards: str | Path,
    out: str | Path | None = None,
    log_dir: str | Path | None = None,
    base: str = DEFAULT_BASE,
) -> Path:
    """Runs a recipe and writes its weights with their config, seed and commit inside.

    Args:
        name: of the recipe and of the weights.
        shards: folder of portraits made by `reage training prepare`, or of scenes made by `reage training label`.
        out: weights file, of a base the folder; by default NAME.safetensors in the current folder.
        log_dir: folder for the losses, of this run alone; None keeps none.
        base: latent diffusion base of recipes that fine-tune one.

    Raises:
        ReageError: when there is no such recipe, the shards cannot be read, or the folder cannot be made.
    """
    recipe = find_recipe(name)
    path = Path(out or f"{name}.safetensors")
    context = RunContext(
        checkpoint=path.with_suffix(".checkpoint"), log_dir=Path(log_dir) if log_dir else None, base=base
    )
    examples = _read(recipe, shards)
    if context.log_dir:
        make_folder(context.log_dir)
    origin = {"name": name, "commit": find_commit(), "version": reage.__version__}
    made = recipe.load_run()(recipe.load_config(), examples, context)
    if isinstance(made, tuple):
        tensors, config = made
        save_weights(path, tensors, {**config, **origin})
        return path
    from reage.nets.diffusion import save_base

    save_base(path.with_suffix(""), made, {**made.provenance, **origin})
    return path.with_suffix("")


def _read(recipe: Recipe, folder: str | Path) -> Any:
    """What a recipe learns from."""
    if recipe.learns_from_scenes:
        return import_module(f"{_MEASURES}.scenes").read_scenes(folder)
    portraits = read_shards(folder)
    return portraits.with_known_age() if recipe.needs_ages else portraits
