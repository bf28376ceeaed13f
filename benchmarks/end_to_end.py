"""Seconds of each step from photo to photo, and peak memory.

Every photo is made, and every measurement taken, in a process of its own; memory is the peak of that process.

    python benchmarks/end_to_end.py                                     the table on the screen
    python benchmarks/end_to_end.py --write benchmarks/end_to_end.md   and in a file
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from common.clocks import peak_mb, run_apart, timed

from reage.engines import DEFAULT_ENGINE

PHOTOS = {"512 px": (512, 512), "1024 px": (1024, 1024), "4000 px (12 MP)": (3000, 4000)}
"""Label -> (height, width); the demo photo fills the height."""

STEPS = ("load", "find", "measure", "render", "composite", "save")
TARGET_AGE = 70
ROUNDS = 3


def make_photo(height_px: int, width_px: int, path: Path) -> None:
    """Writes the demo photo, enlarged to a height, its border continued to a width, with the noise of a real sensor."""
    import numpy as np
    import skimage.data

    from reage.images import Image, geometry, save_image

    source = skimage.data.astronaut()
    scale = height_px / source.shape[0]
    left = (width_px - height_px) / 2
    matrix = np.array([[scale, 0, left + (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    photo = geometry.warp(source, matrix, height_px, width_px).astype(np.float32)
    photo += np.random.default_rng(0).normal(0, 3, (height_px, width_px, 1)).astype(np.float32)
    save_image(Image(pixels=np.clip(photo, 0, 255).astype(np.uint8)), path, altered=False)


def measure(photo: Path, engine: str) -> dict[str, Any]:
    """Median seconds of each step after loading, peak memory, and the ratio to reading and writing the same photo."""
    from reage import Plan, Reager, load_image
    from reage.images import save_image

    reager, seconds_to_load = timed(lambda: _load(Reager, engine))
    mb_loaded = peak_mb()
    aged = photo.with_name("aged" + photo.suffix)
    rounds = []
    for _ in range(ROUNDS):
        result = reager(photo, Plan(age=TARGET_AGE))
        rounds.append({**result.seconds, "save": timed(partial(result.save, aged))[1]})
    picture, decode = timed(lambda: load_image(photo))
    _, encode = timed(lambda: save_image(picture, aged, altered=False))
    seconds = {step: statistics.median(each.get(step, 0.0) for each in rounds) for step in STEPS}
    return {
        "engine": reager.engine.name,
        "faces": len(result.faces),
        "seconds_to_load": seconds_to_load,
        "seconds": seconds,
        "share_of_codec": (seconds["render"] + seconds["composite"]) / (decode + encode),
        "mb_loaded": mb_loaded,
        "mb_peak": peak_mb(),
    }


def _load(reager_class: Any, engine: str) -> Any:
    reager = reager_class(engine)
    assert reager.age_estimator  # it is loaded at its first use
    return reager


def run_all(engine: str) -> str:
    """The table, as Markdown. This process stays small: its own memory would count in its children's."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for label, (height, width) in PHOTOS.items():
            photo = Path(folder) / f"{height}.jpg"
            run_apart(__file__, "photo", str(height), str(width), str(photo))
            rows.append((label, json.loads(run_apart(__file__, "measure", str(photo), "--engine", engine))))
    return _format_table(rows)


def _help_seconds() -> float:
    command = [sys.executable, "-m", "reage", "--help"]
    return min(timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))[1] for _ in range(5))


def _format_table(rows: list[tuple[str, dict[str, Any]]]) -> str:
    headers = ["photo", *STEPS, "all", "render + composite to decode + encode", "peak MB"]
    lines = [
        "# From photo to photo",
        "",
        f"Engine `{rows[0][1]['engine']}`, one face to {TARGET_AGE}, JPEG to JPEG; medians of {ROUNDS} rounds in "
        f"seconds, after loading. Made by `make bench` on {os.cpu_count()} CPU cores ({platform.machine()}).",
        "",
        "| " + " | ".join(headers) + " |",
        "|---" * len(headers) + "|",
    ]
    for label, found in rows:
        seconds = [found["seconds"][step] for step in STEPS]
        cells = [label, *(f"{value:.3f}" for value in (*seconds, sum(seconds)))]
        lines.append("| " + " | ".join([*cells, f"{found['share_of_codec']:.1f}", f"{found['mb_peak']:.0f}"]) + " |")
    first = rows[0][1]
    lines += [
        "",
        f"Loading engine, finder and age estimator: {first['seconds_to_load']:.2f} s, {first['mb_loaded']:.0f} MB. "
        f"`reage --help`: {_help_seconds():.2f} s.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Seconds and peak memory from photo to photo.")
    parser.add_argument("--engine", default=DEFAULT_ENGINE)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    commands = parser.add_subparsers(dest="command")
    photo = commands.add_parser("photo")
    photo.add_argument("height_px", type=int)
    photo.add_argument("width_px", type=int)
    photo.add_argument("path", type=Path)
    one = commands.add_parser("measure")
    one.add_argument("path", type=Path)
    one.add_argument("--engine", default=DEFAULT_ENGINE)
    arguments = parser.parse_args()
    if arguments.command == "photo":
        make_photo(arguments.height_px, arguments.width_px, arguments.path)
    elif arguments.command == "measure":
        print(json.dumps(measure(arguments.path, arguments.engine)))
    else:
        table = run_all(arguments.engine)
        print(table)
        if arguments.write:
            arguments.write.write_text(table + "\n")


if __name__ == "__main__":
    main()
