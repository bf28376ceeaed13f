"""Seconds, memory and seams of ageing one face, by how large it is in the photo.

The photo is the demo photo's face, enlarged until its crop has the given side, with the noise of a real sensor. Every
size has a process of its own; memory is its peak beyond what it held before, without the copy that is returned. A seam
would be a step of the change between two rows or columns of the photo: the table has the largest step of a row's or
column's mean change, and the noise.

    python benchmarks/large_face.py                              the table on the screen
    python benchmarks/large_face.py --write benchmarks/large_face.md   and in a file
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from common.clocks import peak_mb, run_apart, timed

from reage.engines import DEFAULT_ENGINE

SIDES_PX = (512, 1024, 2048, 4000)
NOISE_LEVELS = 3.0
TARGET_AGE = 75
ROUNDS = 5


def make_photo(side_px: int, path: Path) -> None:
    """Writes the demo photo's crop at a side, with noise, as a .npy file."""
    import numpy as np
    import skimage.data

    from reage.faces.finder import FaceFinder
    from reage.images import geometry
    from reage.images.regions import to_pixels

    photo = skimage.data.astronaut()
    (face,) = FaceFinder.load().find(photo)
    larger = geometry.resize_matrix(len(face.crop), side_px)
    scale = larger[0, 0]
    matrix = face.crop_from_image * scale
    matrix[:, 2] += larger[:, 2]
    crop = geometry.warp(photo, matrix, side_px, side_px).astype(np.float32)
    crop += np.random.default_rng(0).normal(0, NOISE_LEVELS, (side_px, side_px, 1)).astype(np.float32)
    np.save(path, to_pixels(crop))


def measure(path: Path, engine: str) -> dict[str, Any]:
    """Median seconds of render and composite, peak MB beyond the copy, and the largest steps of the change."""
    import numpy as np

    from reage import Plan, Reager
    from reage.composite import composite
    from reage.pipeline import render
    from reage.plan import complete

    reager, pixels = Reager(engine), np.load(path)
    (face,) = reager.find(pixels)
    reading = reager.measure(face)
    plan = complete(Plan(age=TARGET_AGE), reading)
    before = peak_mb()
    rounds = []
    for _ in range(ROUNDS):
        aged, rendering = timed(lambda: render(reager.engine, face, reading, plan))
        result, compositing = timed(partial(composite, pixels, face, aged))
        rounds.append((rendering, compositing))
    extra = peak_mb() - before - pixels.nbytes / 1e6
    change = result.astype(np.float32).mean(-1) - pixels.astype(np.float32).mean(-1)
    steps = [float(np.abs(np.diff(change.mean(axis))).max()) for axis in (0, 1)]
    render_seconds, composite_seconds = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "engine": reager.engine.name,
        "render": render_seconds,
        "composite": composite_seconds,
        "mb_extra": max(0.0, extra),
        "changed": float(np.abs(change).max()),
        "step": max(steps),
    }


def run_all(engine: str) -> str:
    """The table, as Markdown. This process stays small: its own memory would count in its children's."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES_PX:
            photo = Path(folder) / f"{side}.npy"
            run_apart(__file__, "photo", str(side), str(photo))
            rows.append((side, json.loads(run_apart(__file__, "measure", str(photo), "--engine", engine))))
            photo.unlink()
    return _format_table(rows)


def _format_table(rows: list[tuple[int, dict[str, Any]]]) -> str:
    lines = [
        "# A large face",
        "",
        f"Engine `{rows[0][1]['engine']}`, the demo face to {TARGET_AGE}, enlarged; medians of {ROUNDS} rounds. "
        f"The noise of the photo is {NOISE_LEVELS:g} levels (std). Made by `python benchmarks/large_face.py` "
        f"on {os.cpu_count()} CPU cores ({platform.machine()}).",
        "",
        "| side of the crop, px | render, s | composite, s | peak MB beyond the photo and its copy | largest change, "
        "levels | largest step of the mean change between rows or columns, levels |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {side} | {found['render']:.3f} | {found['composite']:.3f} | {found['mb_extra']:.0f} "
        f"| {found['changed']:.0f} | {found['step']:.3f} |"
        for side, found in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Seconds, memory and seams of ageing one face, by its size.")
    parser.add_argument("--engine", default=DEFAULT_ENGINE)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    commands = parser.add_subparsers(dest="command")
    photo = commands.add_parser("photo")
    photo.add_argument("side_px", type=int)
    photo.add_argument("path", type=Path)
    one = commands.add_parser("measure")
    one.add_argument("path", type=Path)
    one.add_argument("--engine", default=DEFAULT_ENGINE)
    arguments = parser.parse_args()
    if arguments.command == "photo":
        make_photo(arguments.side_px, arguments.path)
    elif arguments.command == "measure":
        print(json.dumps(measure(arguments.path, arguments.engine)))
    else:
        table = run_all(arguments.engine)
        print(table)
        if arguments.write:
            arguments.write.write_text(table + "\n")


if __name__ == "__main__":
    main()
