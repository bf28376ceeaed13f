"""What each loss of LDLA does: the same steps after pretraining on pairs, with one loss left out each time.

Every row is judged on the same held-out people, all zones asked for 0 and for 1, without scaling the changes.

    python benchmarks/ldla_ablation.py shards/ ldla.pairs.npz              the table on the screen
    python benchmarks/ldla_ablation.py shards/ ldla.pairs.npz --write benchmarks/ldla_ablation.md

`ldla.pairs.npz` is what `reage training fit ldla` makes first. The weights of the pretraining lie beside it; they are
trained first if they are not there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from common.markdown import show, to_markdown
from common.zone_responses import COLUMNS, read_faces, respond
from rich.console import Console

from reage.engines.ldla import TRAINED, LdlaConfig, LdlaEngine
from reage.nets.diffusion import load_base
from reage.training.ldla.dataset import PairedLatents
from reage.training.ldla.train import LdlaTrainingConfig, pretrain_stages, train_ldla
from reage.training.runner import DEFAULT_BASE, load_arrays

LOSSES = ("full", "score", "cycle", "pair")
SCORE_NET_STEPS = 300
SETTINGS = TRAINED


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of LDLA does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--people", type=int, default=8, help="held-out portraits that judge, spread over all")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    pairs, config = load_arrays(given.pairs, PairedLatents), LdlaTrainingConfig()
    checkpoint = given.pairs.with_name(given.pairs.name.split(".")[0])
    start = pretrain_stages(config, load_base(DEFAULT_BASE), pairs, checkpoint)
    config = replace(
        config,
        trainer=replace(config.trainer, steps=given.steps, ema_decay=0.97),
        pretrain=(),
        score_net_trainer=replace(config.score_net_trainer, steps=SCORE_NET_STEPS),
    )
    faces, rows = read_faces(given.shards, "val", given.people), []
    for left_out in (None, "", *LOSSES):
        name = {None: "none: pretraining alone", "": "all"}.get(left_out, f"without {left_out}")
        losses = replace(config.losses, **{left_out: 0.0}) if left_out else config.losses
        engine = LdlaEngine.load(start, config=LdlaConfig(zones=SETTINGS, change_scale=None))
        if left_out is not None:
            train_ldla(replace(config, losses=losses), engine.base, pairs)
        rows.append([name, *respond(engine, faces)])
        Console(stderr=True).print(*rows[-1], sep=" | ")
    note = (
        f"{given.steps} steps after pretraining on pairs, one loss left out each time; "
        f"{given.people} held-out portraits, all zones asked for 0 and for 1 (noise {SETTINGS.noise_strength:g}, "
        f"guidance scale {SETTINGS.guidance_scale:g}, changes not scaled). Made by "
        "`python benchmarks/ldla_ablation.py`."
    )
    show(to_markdown("What each loss of LDLA does", note, ("losses", *COLUMNS), rows), given.write)


if __name__ == "__main__":
    main()
