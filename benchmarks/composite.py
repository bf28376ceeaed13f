"""Seconds and memory of compositing one face, by its size in the photo.

The crop is the photo itself at 512 px, its change and shift are smooth waves, so only `composite` is measured. Every
size has a process of its own; memory is its peak beyond what it held before, without the copy that is returned.

    python benchmarks/composite.py                              the table on the screen
    python benchmarks/composite.py --write benchmarks/composite.md   and in a file
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from common.clocks import peak_mb, run_apart

SIDES_PX = (512, 1024, 2048, 4000)
CROP_PX = 512
CHANGE_LEVELS, SHIFT_PX = 30.0, 4.0
"""Largest change of a level, and largest shift of a crop pixel."""
ROUNDS = 5


def make_photo(side_px: int, path: Path) -> None:
    """Writes the demo photo, enlarged to a side and with the noise of a real sensor, as a .npy file."""
    import numpy as np
    import skimage.data

    from reage.images import geometry
    from reage.images.regions import to_pixels

    photo = geometry.resize(skimage.data.astronaut(), side_px, side_px).astype(np.float32)
    photo += np.random.default_rng(0).normal(0, 3, (side_px, side_px, 1)).astype(np.float32)
    np.save(path, to_pixels(photo))


def measure(path: Path) -> dict[str, Any]:
    """Median seconds, by the clock and of all cores, and peak MB beyond the copy, of a face that fills a photo."""
    import numpy as np

    from reage.composite import composite

    pixels = np.load(path)
    face, aged = _make_face(pixels)
    before = peak_mb()
    rounds = []
    for _ in range(ROUNDS):
        clock, cores = time.perf_counter(), time.process_time()
        result = composite(pixels, face, aged)
        rounds.append((time.perf_counter() - clock, time.process_time() - cores))
        assert (result != pixels).mean() > 0.5
        del result
    seconds, core_seconds = (statistics.median(column) for column in zip(*rounds, strict=True))
    extra = peak_mb() - before - pixels.nbytes / 1e6
    return {"seconds": seconds, "core_seconds": core_seconds, "mb_extra": max(0.0, extra)}


def _make_face(pixels: Any) -> tuple[Any, Any]:
    import numpy as np

    from reage.faces.geometry import FIVE_POINTS, template_points
    from reage.images import geometry
    from reage.mesh_points import LANDMARK_POINTS, NUM_POINTS
    from reage.types import Aged, Face

    side = len(pixels)
    crop_from_image = geometry.resize_matrix(side, CROP_PX)
    crop = np.ascontiguousarray(geometry.warp(pixels, crop_from_image, CROP_PX, CROP_PX))
    grid = geometry.pixel_grid(CROP_PX, CROP_PX)
    matte = np.clip(8 - 8 * np.abs(grid / (CROP_PX / 2) - 1).max(-1), 0, 1).astype(np.float32)
    shift = (SHIFT_PX * np.sin(grid[..., ::-1] / 40) * matte[..., None]).astype(np.float32)
    change = CHANGE_LEVELS * np.sin(grid.sum(-1) / 60)[..., None]
    aged = Aged(crop=np.clip(geometry.sample(crop, grid + shift) + change, 0, 255).astype(np.uint8), shift=shift)
    mesh = np.zeros((NUM_POINTS, 3), np.float32)
    mesh[list(LANDMARK_POINTS), :2] = template_points(FIVE_POINTS, side)
    face = Face(
        box=(0.0, 0.0, float(side), float(side)),
        score=1.0,
        mesh=mesh,
        crop_from_image=crop_from_image,
        crop=crop,
        matte=matte,
        skin=matte,
        bare=matte,
        hair=np.zeros_like(matte),
    )
    return face, aged


def run_all() -> str:
    """The table, as Markdown. This process stays small: its own memory would count in its children's."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES_PX:
            photo = Path(folder) / f"{side}.npy"
            run_apart(__file__, "photo", str(side), str(photo))
            rows.append((side, json.loads(run_apart(__file__, "measure", str(photo)))))
            photo.unlink()
    return _format_table(rows)


def _format_table(rows: list[tuple[int, dict[str, Any]]]) -> str:
    lines = [
        "# Compositing a face",
        "",
        f"`composite` of one face that fills a square photo, its crop {CROP_PX} px, shape and colour changed; medians "
        f"of {ROUNDS} rounds. Made by `python benchmarks/composite.py` on {os.cpu_count()} CPU cores "
        f"({platform.machine()}) at a load of {os.getloadavg()[0]:.0f}.",
        "",
        "| side of the face, px | seconds | seconds of all cores | peak MB beyond the photo and its copy |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {side} | {found['seconds']:.3f} | {found['core_seconds']:.3f} | {found['mb_extra']:.0f} |"
        for side, found in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Seconds and memory of compositing one face.")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    commands = parser.add_subparsers(dest="command")
    photo = commands.add_parser("photo")
    photo.add_argument("side_px", type=int)
    photo.add_argument("path", type=Path)
    commands.add_parser("measure").add_argument("path", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "photo":
        make_photo(arguments.side_px, arguments.path)
    elif arguments.command == "measure":
        print(json.dumps(measure(arguments.path)))
    else:
        table = run_all()
        print(table)
        if arguments.write:
            arguments.write.write_text(table + "\n")


if __name__ == "__main__":
    main()
