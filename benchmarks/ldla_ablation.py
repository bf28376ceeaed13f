"""What each loss of LDLA does: the same steps from what the pairs alone have taught, with one loss left out each time.

Every row is judged on the same held-out people, all zones asked for 0 and for 1, the changes as they were drawn.

    python benchmarks/ldla_ablation.py shards/ ldla.pairs.npz              the table on the screen
    python benchmarks/ldla_ablation.py shards/ ldla.pairs.npz --write benchmarks/ldla_ablation.md

`ldla.pairs.npz` is what `reage training fit ldla` makes with its base first. What the stage of the pairs has made lies
beside them; it is made first if it is not there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from common.markdown import show, to_markdown
from common.zone_responses import COLUMNS, read_faces, respond
from reage.training.stored import load_arrays
from rich.console import Console

from reage.engines.ldla import LdlaConfig, LdlaEngine, SamplingConfig
from reage.nets.diffusion import load_base
from reage.training.ldla.dataset import PairedLatents
from reage.training.ldla.train import LdlaTrainingConfig, pretrain_stages, train_ldla
from reage.training.runner import DEFAULT_BASE

LOSSES = ("full", "score", "cycle", "pair")
READING_STEPS = 300
SETTINGS = SamplingConfig()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of LDLA does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--people", type=int, default=8, help="held-out portraits that judge, spread over all")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    pairs, recipe = load_arrays(given.pairs, PairedLatents), LdlaTrainingConfig()
    run = given.pairs.with_name(given.pairs.name.split(".")[0])
    start = pretrain_stages(recipe, load_base(DEFAULT_BASE), pairs, run)
    recipe = replace(
        recipe,
        schedule=replace(recipe.schedule, steps=given.steps, ema_decay=0.97),
        pairing=(),
        reading=replace(recipe.reading, steps=READING_STEPS),
    )
    faces, rows = read_faces(given.shards, "val", given.people), []
    for left_out in (None, "", *LOSSES):
        name = {None: "none: pairs alone", "": "all"}.get(left_out, f"without {left_out}")
        losses = replace(recipe.weights, **{left_out: 0.0}) if left_out else recipe.weights
        engine = LdlaEngine.load(start, config=LdlaConfig(zones=SETTINGS, dose=None))
        if left_out is not None:
            train_ldla(replace(recipe, weights=losses), engine.base, pairs)
        rows.append([name, *respond(engine, faces)])
        Console(stderr=True).print(*rows[-1], sep=" | ")
    note = (
        f"{given.steps} steps from the weights that the pairs alone have taught, one loss left out each time; "
        f"{given.people} held-out portraits, all zones asked for 0 and for 1 (noise {SETTINGS.noise_strength:g}, "
        f"guidance {SETTINGS.guidance:g}, changes as they were drawn). Made by "
        "`python benchmarks/ldla_ablation.py`."
    )
    show(to_markdown("What each loss of LDLA does", note, ("losses", *COLUMNS), rows), given.write)


if __name__ == "__main__":
    main()
