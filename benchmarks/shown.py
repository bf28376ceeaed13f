"""What a score is worth by how much of its zone shows, which hair, glasses or the turn of the head may hide.

On the training people, with the scores that `reage measure` would leave out: what it leaves out was chosen by this.
Both sides of a face count as two.

    python benchmarks/shown.py shards/
    python benchmarks/shown.py shards/ --write benchmarks/shown.md
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from responses import scores_of
from rich.progress import track
from runs import show, to_markdown

from reage.data.faces import portrait_to_face
from reage.data.shards import read_shards
from reage.evaluation.metrics.statistics import rank_correlation
from reage.faces.segmentation import FaceParser
from reage.faces.skin_features import make_skin_view
from reage.faces.zone_scorer import ZoneScorer
from reage.zones import ZONES

BORDERS = (0.0, 0.5, 0.65, 0.8, 1.01)
FEWEST = 20
"""Of scores; of fewer, a correlation says nothing."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What a score is worth by how much of its zone shows.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits, parts = read_shards(given.shards, "train"), FaceParser.load()
    scorers = [ZoneScorer.load(name) for name in ("zones-a", "zones-b")]
    for scorer in scorers:
        scorer.config = replace(scorer.config, least_shown=0.0)
    shown, scores = [], []
    for row in track(range(len(portraits)), "portraits"):
        face = portrait_to_face(portraits, row, parts).in_crop_frame()
        shown.append(make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, face.hair).shown)
        scores.append([scores_of(scorer, face) for scorer in scorers])
    rows = worth(np.array(shown), np.array(scores), portraits.age_years)
    note = (
        f"{len(portraits)} training portraits: Spearman's rho of the two scorers, and of each with age. Shares of a "
        f"zone that fewer than {FEWEST} show are left out. Made by `python benchmarks/shown.py`."
    )
    columns = ("zone", "share that shows", "N", "a with b", "a with age", "b with age")
    show(to_markdown("What a score is worth by how much of its zone shows", note, columns, rows), given.write)


def worth(shown: np.ndarray, scores: np.ndarray, ages: np.ndarray) -> list[list[str]]:
    """Rows of the table from (N, 12) shares, (N, 2, 12) scores and (N,) ages."""
    rows = []
    for kind in dict.fromkeys(zone.split(".")[0] for zone in ZONES):
        places = [place for place, zone in enumerate(ZONES) if zone.split(".")[0] == kind]
        share, years = shown[:, places].ravel(), np.repeat(ages, len(places))
        first, second = (scores[:, which][:, places].ravel() for which in range(2))
        for low, high in pairwise(BORDERS):
            own = (share >= low) & (share < high)
            if own.sum() >= FEWEST:
                pairs = ((first, second), (first, years), (second, years))
                found = (f"{rank_correlation(one[own], other[own]):.2f}" for one, other in pairs)
                rows.append([kind, f"{low:.0%} to {min(high, 1):.0%}", str(own.sum()), *found])
    return rows


if __name__ == "__main__":
    main()
