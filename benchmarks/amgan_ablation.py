"""What each loss of AMGAN's second stage does: the same steps from the same start, with one loss left out each time.

Every row is judged as `reage evaluate` judges an engine, on the same held-out people.

    python benchmarks/amgan_ablation.py shards/ amgan.skin_changes.npz          the table on the screen
    python benchmarks/amgan_ablation.py shards/ amgan.skin_changes.npz --write benchmarks/amgan_ablation.md

`amgan.skin_changes.npz` is what `reage training fit amgan` makes first; the first stage is trained anew unless
`--start` names a file, which is written when it is not there.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from common.engine_rows import COLUMNS, judge
from common.markdown import show, to_markdown
from rich.console import Console

from reage.nets.amgan_config import GeneratorConfig
from reage.training.amgan.dataset import AmganDataset
from reage.training.amgan.train import (
    AmganTrainingConfig,
    amgan,
    build_amgan,
    distill,
    finetune,
    to_stored_config,
)
from reage.training.export import export_generator
from reage.training.runner import load_arrays
from reage.training.skin_changes import SkinChangeDataset
from reage.weights import save_weights

LOSSES = ("adversarial", "aging_map", "location", "cycle", "age", "zone_scores", "direction", "shade")


def start_from(path: Path | None, dataset: AmganDataset, config: AmganTrainingConfig) -> dict[str, torch.Tensor]:
    """Both nets after the first stage: from a file, or trained now and written to it."""
    if path and path.exists():
        return torch.load(path, weights_only=True)
    net = build_amgan(config)
    distill(config, net, dataset)
    state = net.state_dict()
    if path:
        torch.save(state, path)
    return state


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of AMGAN's second stage does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("skin_changes", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--people", type=int, default=150, help="held-out portraits that judge, spread over all")
    parser.add_argument("--zone-people", type=int, default=10, help="of whom zones are changed one by one")
    parser.add_argument("--start", type=Path, help="nets after the first stage")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    config = amgan()
    config = replace(config, finetune=replace(config.finetune, steps=given.steps, ema_decay=0.98))
    dataset = AmganDataset(load_arrays(given.skin_changes, SkinChangeDataset), config.dataset)
    start = start_from(given.start, dataset, config)
    note = (
        f"{given.steps} steps from the same first stage ({config.distill.steps}), one loss left out each time; judged "
        f"on {given.people} held-out portraits as in `reage evaluate` (years, identity and backdrop: colour portraits "
        f"of 35 to 60; zone slope: mean of twelve zones asked for 0 and 1, {given.zone_people} people). Made by "
        "`python benchmarks/amgan_ablation.py`."
    )
    console, rows = Console(stderr=True), []
    with tempfile.TemporaryDirectory() as folder:
        for left_out in ("", *LOSSES):
            name = f"without {left_out}" if left_out else "all"
            console.print(name)
            losses = replace(config.finetune_losses, **{left_out: 0.0}) if left_out else config.finetune_losses
            variant = replace(config, finetune_losses=losses)
            net = build_amgan(variant)
            net.load_state_dict(start)
            finetune(variant, net, dataset)
            weights = Path(folder) / f"{name}.safetensors"
            stored = to_stored_config(variant, GeneratorConfig().zone_gains, 1.0)
            save_weights(weights, dict(net.generator.state_dict()), stored)
            exported = export_generator(weights, weights.with_suffix(".onnx"))
            cells = judge("amgan", exported, given.shards, Path(folder) / name, given.people, given.zone_people)
            rows.append([name, *cells])
            console.print(*rows[-1], sep=" | ")
    columns = ("losses", *COLUMNS)
    show(to_markdown("What each loss of AMGAN's second stage does", note, columns, rows), given.write)


if __name__ == "__main__":
    main()
