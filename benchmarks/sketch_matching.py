r"""Does a sketch find its person, and what does a similarity mean? Held-out people, drawn by rules.

Also measures the table of `reage.matching.calibration`: the similarities that shares of impostors reach.

    python benchmarks/sketch_matching.py shards/ --write benchmarks/sketch_matching.md
    python benchmarks/sketch_matching.py shards/ --other-photo --proportion-errors 0.02 0.05 0.1 \
        --write benchmarks/sketch_matching_other_photo.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown
from rich.progress import track

from reage.data.shards import read_shards
from reage.evaluation.metrics.identification import split_scores
from reage.evaluation.sketch import MatchScores, draw_other_photos, draw_subjects, score_matches, tabulate_matches
from reage.faces.drawn_sketch import STYLES
from reage.faces.segmentation import FaceParser
from reage.matching import MATCHERS, MODES, Matcher
from reage.sketch import Sketcher

RATES = (0.1, 0.01, 0.001)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Sketch against photo among held-out people.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--count", type=int, default=220, help="people, or others in the gallery")
    parser.add_argument(
        "--other-photo",
        action="store_true",
        help="draw the probes of another photo than that in the gallery, of everybody with several; the gallery "
        "also has --count others",
    )
    parser.add_argument("--proportion-errors", type=float, nargs="+", default=[0.02], help="of the probes, face units")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=STYLES)
    parser.add_argument("--write", type=Path, help="also write the tables to this file")
    given = parser.parse_args()
    portraits, sketcher = read_shards(given.shards, "val"), Sketcher()
    matchers = [Matcher(name, sketcher=sketcher) for name in MATCHERS]
    texts = []
    for error in given.proportion_errors:
        draw = draw_other_photos if given.other_photo else draw_subjects
        subjects = draw(portraits, FaceParser.load(), given.count, given.styles, error)
        found = score_matches(subjects, matchers, given.modes, track=lambda rows: track(rows, "matching"))
        texts.append(describe(subjects, found, error, other_photo=given.other_photo))
    if not given.other_photo:
        found += [score_photos(subjects, matcher) for matcher in matchers]
        texts.append(calibrate(found, len(subjects)))
    show("\n".join(texts), given.write)


def describe(subjects: list, found: list[MatchScores], error: float, *, other_photo: bool) -> str:
    """The table of probes with so large errors in proportion."""
    people = sum(bool(subject.probes) for subject in subjects)
    table = tabulate_matches(found, people, len(subjects) - people)
    head, *rows = table.to_lines()
    other = "Probes are drawn of the latest photo, the gallery has the earliest. " if other_photo else ""
    note = f"{table.note} {other}Drawn by rules with errors in proportion of {error:g} face units."
    return to_markdown(table.title, note, head, rows)


def score_photos(subjects: list, matcher: Matcher) -> MatchScores:
    """Photos against photos: their impostors calibrate the search for a photo."""
    gallery = np.stack([matcher.recognizer.embed(one.photo, one.landmarks) for one in subjects])
    scores = np.stack([matcher.recognizer.similarity(one[None], gallery) for one in gallery])
    return MatchScores(style="photo", recognizer=matcher.recognizer.name, mode="photo", scores=scores)


def calibrate(found: list[MatchScores], people: int) -> str:
    """The table of calibrations."""
    lines = []
    for name in MATCHERS:
        for mode in dict.fromkeys(one.mode for one in found):
            own = [split_scores(one.scores)[1] for one in found if (one.recognizer, one.mode) == (name, mode)]
            scores = np.sort(np.concatenate(own))
            lines.append([name, mode, *(f"{np.quantile(scores, 1 - rate):.3f}" for rate in RATES), str(len(scores))])
    note = f"Similarities that shares of impostors reach, {people} people; of sketches, in all styles together."
    headers = ["recognizer", "way", *(f"FMR {rate:g}" for rate in RATES), "impostors"]
    return to_markdown("What a similarity means", note, headers, lines)


if __name__ == "__main__":
    main()
