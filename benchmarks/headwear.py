"""How often is headwear taken for hair, and hair for headwear? The face parser alone, and with its detector.

The people are held out from training; whose head is covered was seen by eye (`judged` in `headwear_labels.json`).
Most of the covered show hair too, which must stay hair, so of them the table does not say what is right.

    python benchmarks/headwear.py --photos data/ --write benchmarks/headwear.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown
from rich.progress import track
from untouched import is_held_out

from reage import Reager
from reage.engines.exemplar.change import wide_window
from reage.engines.exemplar.hair_mask import WIDE
from reage.face_classes import CLASSES
from reage.faces.headwear import HeadwearDetector
from reage.faces.segmentation import FaceParser, take_headwear_from_hair
from reage.images import load_image
from reage.nets.runtime import load_session
from reage.training.measures.headwear import headwear_labels

HAIR = CLASSES.index("hair")
LOST = (0.0, 0.1, 0.5)
"""Shares of what was hair that are none any more."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Headwear taken for hair, and hair taken for headwear.")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the collections congress, faker, sfhq")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    files = list(find_photos(given.photos))
    measured = [measure(given.photos / key) for key in track(files, "photos")]
    covered = np.array([key.split("/", 1)[1] in headwear_labels()["judged"] for key in files])
    lost = np.array([one[:2] for one in measured])
    known = np.isfinite(lost[:, 0])
    rows = []
    for name, group in (("covered", covered & known), ("not covered", ~covered & known)):
        for place, column in (("crop", 0), ("window of two crops", 1)):
            shares = [f"{(lost[group, column] > least).sum()}" for least in LOST]
            rows.append([name, str(group.sum()), place, *shares])
            print(name, place, [key for key, one in zip(files, lost[:, column] * group, strict=True) if one > 0])
    headers = ["head", "people", "where", *(f"lose more than {share:.0%} of what was hair" for share in LOST)]
    print(f"The detector takes {1000 * np.nanmedian([one[2] for one in measured]):.1f} ms.")
    note = "Held-out people. Made by `python benchmarks/headwear.py`."
    show(to_markdown("Headwear told from hair", note, headers, rows), given.write)


def find_photos(folder: Path) -> Iterator[str]:
    """COLLECTION/FILE of the held-out people."""
    for name in ("congress", "faker", "sfhq"):
        for path in sorted((folder / name).rglob("*.jpg")):
            key = path.relative_to(folder).as_posix()
            if is_held_out(key):
                yield key


def measure(path: Path) -> tuple[float, float, float]:
    """Share of the hair in the crop and in the window of a photo that is none; seconds; nan where no face is found."""
    faces = Reager("none").find(load_image(path))
    if not faces:
        return np.nan, np.nan, np.nan
    face, net, detector = faces[0], FaceParser(load_session("face-parser")), HeadwearDetector.load()
    found = []
    for crop, mesh, crops in ((face.crop, face.to_crop(face.mesh), 1.0), (*wide_window(face), WIDE)):
        shares = net.measure_shares(crop, mesh, crops)
        before, start = shares[HAIR].sum(), time.perf_counter()
        take_headwear_from_hair(detector, shares, crop, mesh, crops)
        found += [float((before - shares[HAIR].sum()) / max(before, 1.0)), time.perf_counter() - start]
    return found[0], found[2], found[1]


if __name__ == "__main__":
    main()
