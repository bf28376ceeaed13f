"""How reliable a zone's score is, by how much of it is visible: hair, glasses or the turn of the head may hide it.

The scores are those of the training people, including ones that `reage measure` leaves out because too little of the
zone is visible; its limit was chosen by this table. Both sides of a face count as two.

    python benchmarks/zone_visibility.py shards/
    python benchmarks/zone_visibility.py shards/ --write benchmarks/zone_visibility.md
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown
from common.zone_responses import scores_of
from rich.progress import track

from reage.data.faces import portrait_to_face
from reage.data.shards import read_shards
from reage.evaluation.metrics.statistics import rank_correlation
from reage.faces.segmentation import FaceParser
from reage.faces.skin_features import make_skin_view
from reage.faces.zone_scorer import ZoneScorer
from reage.zones import ZONE_TABLE, ZONES

LIMITS = (0.0, 0.5, 0.65, 0.8, 1.01)
MIN_SCORES = 20
"""A correlation of fewer scores says nothing."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="How reliable a zone's score is, by how much of the zone is visible.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    portraits, face_parser = read_shards(arguments.shards, "train").with_known_age(), FaceParser.load()
    scorers = [ZoneScorer.load(name) for name in ("zones-a", "zones-b")]
    for scorer in scorers:
        scorer.config = replace(scorer.config, min_visible=0.0)
    visible, scores = [], []
    for row in track(range(len(portraits)), "portraits"):
        face = portrait_to_face(portraits, row, face_parser).in_crop_frame()
        view = make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, face.hair)
        visible.append(view.visible)
        scores.append([scores_of(scorer, face) for scorer in scorers])
    rows = correlate(np.array(visible), np.array(scores), portraits.age_years)
    note = (
        f"{len(portraits)} training portraits: Spearman's rho of the two scorers, and of each with age. Shares that "
        f"fewer than {MIN_SCORES} zones show are left out. Made by `python benchmarks/zone_visibility.py`."
    )
    columns = ("zone", "visible share", "N", "a with b", "a with age", "b with age")
    show(
        to_markdown("How reliable a score is, by how much of its zone is visible", note, columns, rows), arguments.write
    )


def correlate(visible: np.ndarray, scores: np.ndarray, ages: np.ndarray) -> list[list[str]]:
    """Rows of the table from (N, 12) visible shares, (N, 2, 12) scores and (N,) ages."""
    rows = []
    for zone in ZONE_TABLE:
        columns = [ZONES.index(name) for name in zone.members]
        share, years = visible[:, columns].ravel(), np.repeat(ages, len(columns))
        first, second = (scores[:, scorer][:, columns].ravel() for scorer in range(2))
        for low, high in pairwise(LIMITS):
            own = (share >= low) & (share < high)
            if own.sum() >= MIN_SCORES:
                pairs = ((first, second), (first, years), (second, years))
                correlations = (f"{rank_correlation(one[own], other[own]):.2f}" for one, other in pairs)
                rows.append([zone.name, f"{low:.0%} to {min(high, 1):.0%}", str(own.sum()), *correlations])
    return rows


if __name__ == "__main__":
    main()
