"""What each loss of AMGAN's second stage does: the same steps from the same start, with one loss left out each time.

Every row is judged as `reage evaluate` judges an engine, on the same held-out people.

    python benchmarks/amgan_ablation.py shards/ lessons.npz              the table on the screen
    python benchmarks/amgan_ablation.py shards/ lessons.npz --write benchmarks/amgan_ablation.md

`lessons.npz` is what `reage training fit amgan` makes first; the first stage is learned anew unless `--start` names a
file, which is written when it is not there.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from runs import show, to_markdown

from reage.evaluation.faces import Faces
from reage.evaluation.headline import headline
from reage.evaluation.opinions import realism
from reage.evaluation.reference import load_reference
from reage.evaluation.run import Order, run
from reage.evaluation.tables import Figure
from reage.evaluation.zone_orders import zone_responses
from reage.nets.amgan import GeneratorConfig
from reage.training.amgan import AmganRecipe, Course, describe
from reage.training.deck import Deck
from reage.training.lessons import Lessons
from reage.training.stored import load_arrays
from reage.weights import save_weights

LOSSES = ("realism", "map", "place", "cycle", "age", "zones", "way")
TARGETS = (30.0, 70.0, 75.0)
COLUMNS = ("years at 75", "identity at 75", "years at 30", "identity at 30", "zone slope", "backdrop", "KID x 1000")


def start_from(path: Path | None, deck: Deck, recipe: AmganRecipe) -> dict[str, torch.Tensor]:
    """Both nets after the first stage: from a file, or learned now and written to it."""
    if path and path.exists():
        return torch.load(path, weights_only=True)
    course = Course(recipe, deck)
    course.learn()
    state = course.net.state_dict()
    if path:
        torch.save(state, path)
    return state


def judge(course: Course, given: argparse.Namespace, folder: Path) -> list[str]:
    """The cells of a row."""
    folder.mkdir()
    weights = folder / "amgan.safetensors"
    save_weights(
        weights, dict(course.net.generator.state_dict()), describe(course.recipe, GeneratorConfig().gains, 1.0)
    )
    order = Order(
        engine="amgan",
        faces=given.shards,
        weights=weights,
        targets=TARGETS,
        zone_scores=(0.0, 1.0),
        num_subjects=given.people,
        zone_subjects=given.zone_people,
    )
    rows = run(order, folder, workers=torch.get_num_threads()).rows
    faces, reference = Faces(rows), load_reference()
    lines = headline(faces, reference).rows
    cells = [
        str(lines[name][1])
        for name in (
            "years gained at 75",
            "identity distance at 75, median",
            "years gained at 30",
            "identity distance at 30, median",
        )
    ]
    zones, sets = zone_responses(faces, reference), realism(faces)
    assert zones
    assert sets
    slopes = [row[1].value for row in zones.rows.values() if isinstance(row[1], Figure)]
    backdrop = lines["backdrop changed visibly, worst target"][1]
    moved = next(iter(sets.rows.values()))[0]
    return [*cells, f"{np.mean(slopes):.2f}", str(backdrop), str(moved)]


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of AMGAN's second stage does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--people", type=int, default=150, help="held-out portraits that judge, spread over all")
    parser.add_argument("--zone-people", type=int, default=10, help="of whom zones are ordered one by one")
    parser.add_argument("--start", type=Path, help="nets after the first stage")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    recipe = AmganRecipe()
    recipe = replace(recipe, refine=replace(recipe.refine, steps=given.steps, mean_decay=0.98))
    deck = Deck(load_arrays(given.lessons, Lessons), recipe.deck)
    start = start_from(given.start, deck, recipe)
    note = (
        f"{given.steps} steps from the same first stage ({recipe.learn.steps}), one loss left out each time; judged "
        f"on {given.people} held-out portraits as in `reage evaluate` (years, identity and backdrop: colour portraits "
        f"of 35 to 60; zone slope: mean of twelve zones asked for 0 and 1, {given.zone_people} people). Made by "
        "`python benchmarks/amgan_ablation.py`."
    )
    console, rows = Console(stderr=True), []
    with tempfile.TemporaryDirectory() as folder:
        for left_out in ("", *LOSSES):
            name = f"without {left_out}" if left_out else "all"
            console.print(name)
            weights = replace(recipe.refining, **{left_out: 0.0}) if left_out else recipe.refining
            course = Course(replace(recipe, refining=weights), deck)
            course.net.load_state_dict(start)
            course.refine()
            rows.append([name, *judge(course, given, Path(folder) / name)])
            console.print(*rows[-1], sep=" | ")
    columns = ("losses", *COLUMNS)
    show(to_markdown("What each loss of AMGAN's second stage does", note, columns, rows), given.write)


if __name__ == "__main__":
    main()
