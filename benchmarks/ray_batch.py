"""`reage batch`: does a second process double the rate, and what do killed workers, runs and computers lose?

    python benchmarks/ray_batch.py scale --photos 64         # under three minutes on two cores that nobody else uses
    python benchmarks/ray_batch.py kills                     # workers, then the whole run
    python benchmarks/ray_batch.py nodes                     # three computers, simulated; one is lost

    python benchmarks/ray_batch.py cost                      # CPU seconds of each step, and 100 million photos by them

`cost` counts seconds of a core, not those that pass, so that other programs matter less. With `--write FILE` a part
takes the place of its section in the file.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from common.markdown import to_markdown
from folder import write_photos

from reage.cluster.manifest import MANIFEST_NAME, PARTS_FOLDER, manifest_schema
from reage.cluster.pictures import Picture
from reage.cluster.places import StoredFile
from reage.processes import count_cores

HUNDRED_MILLION = 100_000_000
WORKER = "ray::MapWorker"


def main() -> None:
    parts: dict[str, Callable[[Path, argparse.Namespace], str]] = {
        "scale": scale,
        "kills": kills,
        "nodes": nodes,
        "cost": cost,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--photos", type=int)
    parser.add_argument("--side", type=int, default=1024, help="of a photo, px")
    parser.add_argument("--engine", default="exemplar")
    parser.add_argument("--write", type=Path, help="also put the section into this file")
    given = parser.parse_args()
    given.photos = given.photos or {"scale": 64, "kills": 36, "nodes": 36, "cost": 12}[given.part]
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder, "photos"), given.photos, given.side)
        text = parts[given.part](Path(folder), given)
    print(text)
    if given.write:
        replace_section(given.write, text)


# Runs


def command_of(folder: Path, output: str, engine: str, *options: str) -> list[str]:
    """The command of a run over the photos in a folder."""
    places = [str(folder / "photos"), "-o", str(folder / output)]
    return [sys.executable, "-m", "reage", "batch", *places, "--to", "70", "--engine", engine, "--jsonl", *options]


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A run that is started; a context that ends it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def results(folder: Path) -> dict[str, int]:
    """When each result was written, ns, by its name."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*.jpg")}


def wait_for(process: subprocess.Popen[str], output: Path, number: int) -> None:
    """Waits until a run has written so many results."""
    while len(results(output)) < number:
        assert process.poll() is None, "the run has ended"
        time.sleep(0.02)


def finish(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What a run prints of its photos, when it has ended well."""
    printed, _ = process.communicate()
    assert process.returncode == 0, process.returncode
    return [json.loads(line) for line in printed.splitlines()]


def workers_of(process: int) -> list[psutil.Process]:
    """The workers of the run that a process has started."""
    started = psutil.Process(process).children(recursive=True)
    return [one for one in started if one.is_running() and WORKER in name_of(one)]


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def redone(before: dict[str, int], after: dict[str, int]) -> int:
    """How many results were written again."""
    return sum(after[name] != written for name, written in before.items())


# One and two processes


def scale(folder: Path, given: argparse.Namespace) -> str:
    """Photos a second by one worker and by two."""
    cells, rates = [], list[float]()
    for workers in (1, 2):
        started = time.monotonic()
        with running(command_of(folder, f"aged-{workers}", given.engine, "--workers", str(workers))) as process:
            finish(process)
        seconds = time.monotonic() - started
        rows = pq.read_table(folder / f"aged-{workers}" / MANIFEST_NAME).to_pylist()
        rates.append(len(rows) / worked_seconds(rows))
        cells.append([str(workers), f"{seconds:.1f}", f"{worked_seconds(rows):.1f}", f"{rates[-1]:.2f}"])
    note = (
        f"`python benchmarks/ray_batch.py scale --photos {given.photos} --side {given.side}`, JPEG with one face, "
        f"`{given.engine}`, on {count_cores()} cores. Work is from the first photo that a worker begins to the last "
        f"that one finishes. Two processes do {rates[1] / rates[0]:.2f} times what one does."
    )
    columns = ("processes", "whole command, s", "work, s", "photos a second of work")
    return "#" + to_markdown("One process and two", note, columns, cells)


def worked_seconds(rows: Sequence[dict[str, Any]]) -> float:
    """From the first photo that is begun to the last that is finished."""
    ends = [row["finished"].timestamp() for row in rows]
    return max(ends) - min(end - row["seconds"] for end, row in zip(ends, rows, strict=True))


# 100 million photos


def cost(folder: Path, given: argparse.Namespace) -> str:
    """Core-seconds of each step in one process with one thread, and what 100 million such photos need."""
    steps, result_bytes = measure_steps(folder, given.engine)
    each, row_bytes, listed_bytes = sum(steps.values()), measure_row(), measure_listing()
    command = (
        "`OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/ray_batch.py cost "
        f"--photos {given.photos} --side {given.side}`"
    )
    note = f"{command}: JPEG with one face, `{given.engine}`, one thread, mean."
    table = to_markdown(
        "Core-seconds of a photo", note, (*steps, "sum"), [[f"{s:.3f}" for s in (*steps.values(), each)]]
    )
    numbers = {
        "core-seconds of a photo": f"{each:.2f}",
        "core-hours for 100 million": f"{each * HUNDRED_MILLION / 3600:,.0f}",
        "hours on 1,000 cores": f"{each * HUNDRED_MILLION / 3600 / 1000:.1f}",
        "kB of a result": f"{result_bytes / 1e3:.0f}",
        "TB of results for 100 million": f"{result_bytes * HUNDRED_MILLION / 1e12:.1f}",
        "bytes of a row of the manifest": f"{row_bytes:.0f}",
        "GB of manifests for 100 million": f"{row_bytes * HUNDRED_MILLION / 1e9:.1f}",
        "bytes of memory for a listed photo": f"{listed_bytes:.0f}",
        "GB of memory to list a million": f"{listed_bytes / 1000:.2f}",
    }
    rows = [[*one] for one in numbers.items()]
    return f"#{table}\n#{to_markdown('100 million photos', command + '.', ('what', 'number'), rows)}"


def measure_steps(folder: Path, engine: str) -> tuple[dict[str, float], float]:
    """Core-seconds of each step of a photo, and bytes of a result."""
    from reage.batch import FileAger
    from reage.measure import DlibRecognizer
    from reage.pipeline import Reager
    from reage.types import Plan

    ager = FileAger(Reager(engine), Plan(age=70), recognizer=DlibRecognizer.load())
    photos = sorted((folder / "photos").iterdir())
    ager.age(photos[0], folder / "first.jpg")  # loads what is loaded at the first photo
    passed, began, used = dict[str, float](), time.perf_counter(), time.process_time()
    for photo in photos:
        for step, seconds in ager.age(photo, folder / photo.name).values["seconds"].items():
            passed[step] = passed.get(step, 0.0) + seconds
    used, all_passed = time.process_time() - used, time.perf_counter() - began
    passed["read and write"] = all_passed - sum(passed.values())
    sizes = [(folder / photo.name).stat().st_size for photo in photos]
    return {step: s * used / all_passed / len(photos) for step, s in passed.items()}, statistics.fmean(sizes)


def measure_row(count: int = 20_000) -> float:
    """Bytes of a row in a manifest of so many rows with values as runs have them."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "source": f"2001/{number:09}.jpg",
            "source_hash": rng.bytes(32).hex(),
            "source_bytes": int(rng.integers(100_000, 500_000)),
            "source_stamp": rng.bytes(16).hex(),
            "output": f"2001/{number:09}.jpg",
            "status": "aged",
            "faces": 1,
            "readings": [
                {
                    "box": list(rng.uniform(0, 1000, 4)),
                    "age_years": round(rng.uniform(20, 80), 1),
                    "age_std_years": 6.5,
                    "target_years": 70,
                    "identity_distance": rng.uniform(0.2, 0.5),
                    "doubts": [],
                }
            ],
            "identity_distance": rng.uniform(0.2, 0.5),
            "seconds": rng.uniform(0.5, 1),
            "notes": [],
            "weights_hash": "a0fe12a98031",
            "worker": f"node-{rng.integers(100)}:{rng.integers(30_000)}",
            "finished": int(1.8e12) + number,
        }
        for number in range(count)
    ]
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, manifest_schema()), written, compression="zstd")
    return len(written.getvalue()) / count


def measure_listing(count: int = 20_000) -> float:
    """Bytes of memory of a listed photo."""
    tracemalloc.start()
    kept = [
        Picture(
            file=StoredFile(name=f"2001/{n:09}.jpg", num_bytes=300_000 + n, stamp=f"{n:032x}"),
            output=f"2001/{n:09}.jpg",
        )
        for n in range(count)
    ]
    used = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    return used


# What is lost


def kills(folder: Path, given: argparse.Namespace) -> str:
    """Kills workers in the middle of a run, then a whole run."""
    rows = [kill_workers(folder, given), kill_run(folder, given)]
    note = (
        f"`python benchmarks/ray_batch.py kills --photos {given.photos} --side {given.side}`: SIGKILL for a worker "
        "when a third of the results is there and for another at two thirds; then, in a run of its own, for the run "
        "itself at a half, after which the command is repeated. Done again are results that were there at the kill."
    )
    columns = ("killed", "kills", "photos", "aged", "failed", "rows", "done again", "files left over")
    return "#" + to_markdown("Killed workers and runs", note, columns, rows)


def kill_workers(folder: Path, given: argparse.Namespace) -> list[str]:
    output, before, number = folder / "workers", dict[str, int](), 0
    with running(command_of(folder, output.name, given.engine, "--workers", "2")) as process:
        for share in (1, 2):
            wait_for(process, output, given.photos * share // 3)
            before = results(output)
            workers_of(process.pid)[0].kill()
            number += 1
        finish(process)
    return ["a worker", str(number), *describe_end(output, given.photos, before)]


def kill_run(folder: Path, given: argparse.Namespace) -> list[str]:
    output = folder / "run"
    command = command_of(folder, output.name, given.engine, "--workers", "2")
    with running(command) as process:
        wait_for(process, output, given.photos // 2)
        process.kill()
        process.wait()
    before = results(output)
    with running(command) as process:
        finish(process)
    return ["the run", "1", *describe_end(output, given.photos, before)]


def describe_end(output: Path, photos: int, before: dict[str, int]) -> list[str]:
    """Cells after the number of kills; fails where a photo is missing."""
    statuses = pq.read_table(output / MANIFEST_NAME)["status"].to_pylist()
    aged, failed, again = statuses.count("aged"), statuses.count("failed"), redone(before, results(output))
    assert (len(results(output)), aged) == (photos, photos), statuses
    left = [path.name for path in output.iterdir() if path.name.startswith(".") or path.name == PARTS_FOLDER]
    return [str(photos), str(aged), str(failed), str(len(statuses)), f"{again} of {len(before)}", str(len(left))]


# Three computers


def nodes(folder: Path, given: argparse.Namespace) -> str:
    """Three nodes of one core each, of which one is killed when a third of the results is there."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    size: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    try:
        _, lost = cluster.add_node(**size), cluster.add_node(**size)
        output, started = folder / "aged", time.monotonic()
        with running(command_of(folder, output.name, given.engine, "--address", cluster.address)) as process:
            wait_for(process, output, given.photos // 3)
            before = results(output)
            cluster.remove_node(lost, allow_graceful=False)
            finish(process)
        seconds = time.monotonic() - started
    finally:
        cluster.shutdown()
    rows = pq.read_table(output / MANIFEST_NAME).to_pylist()
    workers = {row["worker"] for row in rows}
    note = (
        f"`python benchmarks/ray_batch.py nodes --photos {given.photos} --side {given.side}`: a head and two "
        "more nodes of `ray.cluster_utils.Cluster`, one core each, on one computer; one node is killed with all its "
        "processes. "
        f"{len(workers)} workers have rows."
    )
    columns = ("killed", "kills", "photos", "aged", "failed", "rows", "done again", "files left over", "seconds")
    cells = ["a node", "1", *describe_end(output, given.photos, before), f"{seconds:.0f}"]
    return "#" + to_markdown("Three computers, one of them lost", note, columns, [cells])


def replace_section(path: Path, text: str) -> None:
    """Puts sections, which begin with ##, in the place of those of the same titles; new ones come last."""
    page = path.read_text() if path.exists() else "# `reage batch`\n"
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        numbers = [number for number, part in enumerate(parts) if part.startswith(f"{title}\n")]
        if numbers:
            parts[numbers[0]] = section.strip()
        else:
            parts.append(section.strip())
    path.write_text("\n\n".join(part.strip() for part in parts) + "\n")


if __name__ == "__main__":
    main()
