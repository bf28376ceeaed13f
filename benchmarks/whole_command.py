"""What does `reage` cost as a whole process, in an environment of its own: disk, first command, seconds, memory?

    make test-base                                        # makes .venv-base, from the wheel
    python benchmarks/whole_command.py .venv-base

The first command runs after the page cache was emptied, which only root can do on Linux; otherwise its cell is empty.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common.markdown import show, to_markdown

SIDE_PX = 1024
MEASURE_PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Disk, seconds and memory of reage in an environment.")
    parser.add_argument("environments", nargs="+", type=Path, help="folders that python -m venv made")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = write_photo(Path(folder, "me.jpg"))
        rows = [[path.name, *measure(path.absolute(), photo, given.repeats)] for path in given.environments]
    headers = (
        "environment",
        "MB on disk",
        "without an empty one",
        "first `age`, s",
        "`age`, s",
        "peak, MB",
        "`--help`, s",
    )
    title = "reage as a whole process"
    show(
        to_markdown(title, f"`reage age` of a JPEG of {SIDE_PX} px with one face; medians.", headers, rows), given.write
    )


def measure(environment: Path, photo: Path, repeats: int) -> list[str]:
    """The cells of a row after the name of the environment."""
    reage = str(environment / "bin" / "reage")
    age = [reage, "age", str(photo), "--to", "70", "-o", str(photo.with_name("aged.jpg")), "--quiet"]
    first = f"{seconds(age):.2f}" if empty_page_cache() else ""
    peak = subprocess.run([sys.executable, "-c", MEASURE_PEAK, *age], check=True, capture_output=True, text=True).stdout
    return [
        f"{disk_mb(environment):.0f}",
        f"{disk_mb(environment) - empty_environment_mb(environment, photo.parent / environment.name):.0f}",
        first,
        f"{median(seconds(age) for _ in range(repeats)):.2f}",
        f"{int(peak) / 1000:.0f}",
        f"{median(seconds([reage, '--help']) for _ in range(repeats)):.2f}",
    ]


def seconds(command: list[str]) -> float:
    """The seconds of a command from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def disk_mb(folder: Path) -> float:
    """What `du` says of a folder."""
    kilobytes = subprocess.run(["du", "-sk", folder], check=True, capture_output=True, text=True).stdout.split()[0]
    return int(kilobytes) / 1024


def empty_environment_mb(environment: Path, folder: Path) -> float:
    """The size of a new environment with the python of another."""
    base = subprocess.run(
        [environment / "bin" / "python", "-c", "import sys; print(sys._base_executable)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run([base, "-m", "venv", folder], check=True)
    return disk_mb(folder)


def empty_page_cache() -> bool:
    """Whether Linux dropped what it keeps of files in memory."""
    subprocess.run(["sync"], check=False)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def write_photo(path: Path) -> Path:
    """The demo photo at `SIDE_PX`."""
    import skimage.data

    from reage.images import Image, geometry, save_image

    save_image(Image(pixels=geometry.resize(skimage.data.astronaut(), SIDE_PX, SIDE_PX)), path, altered=False)
    return path


if __name__ == "__main__":
    main()
