"""How many photos a second does a folder run age, by the number of processes, and in how much memory?

Each number of processes ages the same photos, one run after the other; then the last command is repeated with
`--skip-existing`. Memory is that of all processes of a run together, a fifth and nine tenths of the way through.

    python benchmarks/folder.py --photos 1000 --engine none exemplar
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from common.markdown import show, to_markdown


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Photos a second in a folder run.")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--side", type=int, default=480, help="of a photo, px")
    parser.add_argument("--engine", nargs="+", default=["none", "exemplar"])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        write_photos(photos, given.photos, given.side)
        for engine in given.engine:
            for jobs in given.jobs:
                output = Path(folder, f"{engine}-{jobs}")
                rows.append([engine, str(jobs), *measure(photos, output, engine, jobs)])
                print(rows[-1], flush=True)
    headers = ("engine", "processes", "seconds", "photos a second", "MB at 20 %", "MB at 90 %", "repeated, seconds")
    title = "Photos a second in a folder run"
    show(to_markdown(title, f"{given.photos} JPEG of {given.side} px with one face each.", headers, rows), given.write)


def measure(photos: Path, output: Path, engine: str, jobs: int) -> Sequence[str]:
    """The cells of a row after the number of processes."""
    command = [sys.executable, "-m", "reage", "age", str(photos), "--to", "70", "--engine", engine, "-o", str(output)]
    command += ["--quiet", "--jobs", str(jobs)]
    count, start = len(list(photos.iterdir())), time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = {}
    while running.poll() is None:
        made = sum(1 for _ in output.iterdir()) if output.exists() else 0
        for share in (0.2, 0.9):
            if made >= share * count and share not in memory:
                memory[share] = tree_mb(running.pid)
        time.sleep(0.2)
    assert running.returncode == 0
    seconds, start = time.monotonic() - start, time.monotonic()
    subprocess.run([*command, "--skip-existing"], check=True, stdout=subprocess.DEVNULL)
    repeated = time.monotonic() - start
    used = [f"{memory[share]:.0f}" if share in memory else "" for share in (0.2, 0.9)]
    return f"{seconds:.0f}", f"{count / seconds:.2f}", *used, f"{repeated:.1f}"


def tree_mb(process: int) -> float:
    """Memory of a process and those it started, counting what they share once for each."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000 + sum(tree_mb(int(child)) for child in children)
    return 0.0


def write_photos(folder: Path, count: int, side_px: int) -> None:
    """Portraits of the demo photo's face, each cut a little differently and with noise of its own."""
    import numpy as np
    import skimage.data

    from reage.images import Image, geometry, save_image

    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        left, top = 96 + rng.integers(-15, 15), rng.integers(0, 15)
        photo = skimage.data.astronaut()[top : top + 256, left : left + 256]
        noisy = np.clip(photo + rng.normal(0, 2, photo.shape), 0, 255).astype(np.uint8)
        image = Image(pixels=geometry.resize(noisy, side_px, side_px))
        save_image(image, folder / f"{number:04}.jpg", altered=False)


if __name__ == "__main__":
    main()
