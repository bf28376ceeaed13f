"""What each loss of LDLA does: the same steps from the same base, with one loss left out each time.

Every row is judged on the same held-out people, all zones asked for 0 and for 1, without gains and refiner.

    python benchmarks/ldla_ablation.py shards/ pairs.npz              the table on the screen
    python benchmarks/ldla_ablation.py shards/ pairs.npz --write benchmarks/ldla_ablation.md

`pairs.npz` is what `reage training fit ldla` makes with its base first.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from responses import COLUMNS, read_faces, respond
from rich.console import Console
from runs import show, to_markdown

from reage.engines.ldla import LdlaConfig, LdlaEngine
from reage.nets.diffusion import load_base
from reage.training.ldla import LdlaRecipe, train_ldla
from reage.training.pairs import Pairs
from reage.training.run import DEFAULT_BASE
from reage.training.stored import load_arrays
from reage.types import ZONES
from reage.zone_scores import ZoneScorer

LOSSES = ("full", "score", "cycle", "pair")
NO_GAINS = dict.fromkeys(ZONES, 1.0)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of LDLA does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--base", default=DEFAULT_BASE)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--people", type=int, default=16, help="held-out portraits that judge, spread over all")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    recipe = LdlaRecipe()
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=given.steps, mean_decay=0.97))
    faces, scorer, rows = read_faces(given.shards, "val", given.people), ZoneScorer.load("zones-b"), []
    for left_out in (None, "", *LOSSES):
        name = {None: "the base alone", "": "all losses"}.get(left_out, f"without {left_out}")
        losses = replace(recipe.weights, **{left_out: 0.0}) if left_out else recipe.weights
        base = load_base(given.base)
        if left_out is not None:
            train_ldla(replace(recipe, weights=losses), base, load_arrays(given.pairs, Pairs))
        engine = LdlaEngine(base, NO_GAINS, "", LdlaConfig(refiner=None))
        rows.append([name, *respond(engine, faces, scorer)])
        Console(stderr=True).print(*rows[-1], sep=" | ")
    note = (
        f"{given.steps} steps from the same base, one loss left out each time, no gains, no refiner; {given.people} "
        "held-out portraits, all zones asked for 0 and for 1 and read by `zones-b`. Made by `python "
        "benchmarks/ldla_ablation.py`."
    )
    show(to_markdown("What each loss of LDLA does", note, ("losses", *COLUMNS), rows), given.write)


if __name__ == "__main__":
    main()
