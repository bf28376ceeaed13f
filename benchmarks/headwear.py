"""How often is headwear taken for hair, and hair for headwear? The face parser with and without its second net.

The people are held out from training. Whose head is covered was seen by eye and is listed in `face_labels.json`; what of
their hair is cloth is not known, so of them the table only says how much of it is no longer hair.

    python benchmarks/headwear.py shards/ --write benchmarks/headwear.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown
from numpy.typing import NDArray
from rich.progress import track

from reage.data.shards import Portraits, read_shards
from reage.faces.segmentation import FaceParser
from reage.training.measures.scenes import hand_labels
from reage.weights import SHIPPED

LOST = (0.05, 0.1, 0.2, 0.5)
"""Shares of the hair of a person that are no longer hair."""
LEAST_HAIR = 0.003
"""Share of the crop, below which a person has no hair to lose."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Headwear taken for hair, and hair taken for headwear.")
    parser.add_argument("shards", type=Path, help="folder with the folders of the collections congress, faker and sfhq")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    alone, both = FaceParser.load(SHIPPED / "face-parser.onnx"), FaceParser.load()
    groups: dict[str, list[NDArray[np.float64]]] = {}
    for name in ("congress", "faker", "sfhq"):
        portraits = read_shards(given.shards / name, "val")
        covered = np.array([f"{name}/{file}" in hand_labels()["headwear_val_files"] for file in portraits.file])
        lost = np.array([measure_loss(portraits, row, alone, both) for row in track(range(len(portraits)), name)])
        groups.setdefault("with headwear", []).append(lost[covered])
        groups.setdefault("without", []).append(lost[~covered])
    headers = ["people", "number", *(f"lose over {share:.0%} of what was hair" for share in LOST)]
    rows = []
    for group, found in groups.items():
        every = np.concatenate(found)
        rows.append([group, str(len(every)), *(f"{(every > share).mean():.1%}" for share in LOST)])
    note = "Held-out people of congress, faker and sfhq; the crop of the face. Made by `python benchmarks/headwear.py`."
    show(to_markdown("Hair told from headwear", note, headers, rows), given.write)


def measure_loss(portraits: Portraits, row: int, alone: FaceParser, both: FaceParser) -> float:
    """Share of a person's hair that is none by the second net; 0 of one who has next to none."""
    crop, mesh = portraits.crops[row], portraits.mesh[row]
    before, after = (parser.parse(crop, mesh).hair for parser in (alone, both))
    return float((before.sum() - after.sum()) / before.sum()) if before.mean() > LEAST_HAIR else 0.0


if __name__ == "__main__":
    main()
