"""How often is a photo called a sketch, and a sketch a photo? Held-out people, drawn by rules and by the net.

python benchmarks/sketch_detection.py shards/ --write benchmarks/sketch_detection.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown
from rich.progress import track

from reage.data.shards import read_shards
from reage.faces.sketch_detection import SketchDetector
from reage.training.measures.sketch_detector import DRAWINGS, choose_rows, measure_looks


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Photos called sketches and sketches called photos.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--weights", default="sketch-detection", help="name of shipped weights, or a file")
    parser.add_argument("--count", type=int, default=150, help="held-out portraits")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits, detector = read_shards(given.shards), SketchDetector.load(given.weights)
    rows = choose_rows(portraits, "val", given.count, seed=0)
    columns = [
        measure_looks(portraits, rows, seed=1, degrades=degrades, track=lambda some: track(some, "pictures"))
        for degrades in (False, True)
    ]
    lines = []
    for name in columns[0]:
        wrong = [(detector.score(looks[name]) > 0) != (name in DRAWINGS) for looks in columns]
        lines.append([name, str(len(wrong[0])), *(f"{np.mean(one):.1%}" for one in wrong)])
    note = (
        f"{len(rows)} held-out portraits; the crop of the face. Degraded: blurred, noisy, of other contrast, small, "
        "saved as JPEG, each at random. Nobody drew the sketches."
    )
    headers = ["picture", "number", "called wrongly", "called wrongly, degraded"]
    show(to_markdown("Sketches told from photos", note, headers, lines), given.write)


if __name__ == "__main__":
    main()
