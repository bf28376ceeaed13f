"""What does reage do with damaged pictures, and with a run that is killed?

`files`: damaged files of every readable format through `reage age --engine none`, most of them in one process, some in
a process for each. `kills`: runs over a folder, killed at random moments and continued with their resume file.

    python benchmarks/fuzz.py files --in-one-process 10000 --in-own-process 300 --seed 1
    python benchmarks/fuzz.py kills --kills 100 --seed 1

Exits with 1 when a crash, a half-written file, a hang, too much memory, an unforeseen error or a lost picture is found.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.seeds import MUTATIONS, make_seeds, mutate

SECONDS_PER_FILE = 10
MB_PER_FILE = 2000
"""Memory that a file may cost beyond what the loaded program holds."""

ARGUMENTS = ("--to", "70", "--engine", "none")
GOOD = ("aged", "refused", "no face")
"""Outcomes that may be: a result that can be read, and one sentence with exit code 2."""

COMMAND = (sys.executable, "-m", "reage")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Damaged pictures and killed runs.")
    commands = parser.add_subparsers(dest="command", required=True)
    files = commands.add_parser("files")
    files.add_argument("--in-one-process", type=int, default=10_000)
    files.add_argument("--in-own-process", type=int, default=300)
    files.add_argument("--minutes", type=float, default=600, help="most time for the files in one process")
    kills = commands.add_parser("kills")
    kills.add_argument("--kills", type=int, default=100)
    kills.add_argument("--photos", type=int, default=40)
    for command in (files, kills):
        command.add_argument("--seed", type=int, default=1)
    serve = commands.add_parser("serve")
    serve.add_argument("folder", type=Path)
    serve.add_argument("count", type=int)
    serve.add_argument("seed", type=int)
    serve.add_argument("seconds", type=float)
    given = parser.parse_args()
    if given.command == "serve":
        serve_files(given.folder, given.count, given.seed, given.seconds)
    elif given.command == "files":
        sys.exit(fuzz_files(given.in_one_process, given.in_own_process, given.seed, given.minutes))
    else:
        sys.exit(kill_runs(given.kills, given.photos, given.seed))


# Damaged files


def fuzz_files(num_in_one: int, num_in_own: int, seed: int, minutes: float) -> int:
    """Runs both kinds, prints a table for each, and returns the exit code."""
    seeds = make_seeds()
    print(f"{len(seeds)} seeds: {', '.join(sorted(seeds))}", flush=True)
    start = time.monotonic()
    in_one = run_in_one_process(num_in_one, seed, 60 * minutes)
    print_counts("one process", in_one, time.monotonic() - start, seed)
    start = time.monotonic()
    in_own = run_in_own_processes(num_in_own, seed + 1)
    print_counts("a process for each", in_own, time.monotonic() - start, seed + 1)
    return int(bool({*in_one, *in_own} - set(GOOD)))


def print_counts(title: str, counts: Counter[str], seconds: float, seed: int) -> None:
    """A row of a Markdown table: how many files, and how many of each outcome."""
    names = [*GOOD, *sorted(set(counts) - set(GOOD))]
    print(f"| {title} | {sum(counts.values())} | " + " | ".join(f"{name}: {counts[name]}" for name in names), end="")
    print(f" | {seconds:.0f} s | seed {seed} |", flush=True)


def run_in_one_process(count: int, seed: int, seconds: float) -> Counter[str]:
    """Outcomes of files in one process; one that crashes or hangs is counted, and the rest goes on in a new one."""
    deadline = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        outcomes_file = Path(folder, "outcomes.jsonl")
        number = 0
        while (done := sum(counts.values())) < count and time.monotonic() < deadline:
            rest = [str(count - done), str(seed + 1000 * number), str(deadline - time.monotonic())]
            command = [sys.executable, __file__, "serve", folder, *rest]
            code = subprocess.run(command, check=False).returncode
            lines = [json.loads(line) for line in outcomes_file.read_text().splitlines()]
            outcomes_file.unlink()
            counts.update(line["outcome"] for line in lines if "outcome" in line)
            if code and "outcome" not in lines[-1]:
                kind = "hang" if Path(folder, "hang").exists() else f"crash, code {code}"
                counts[kind] += 1
                keep(Path(folder), lines[-1]["name"], kind)
            elif code:
                raise SystemExit(f"The process ended with code {code} between two files.")
            number += 1
    return counts


def serve_files(folder: Path, count: int, seed: int, seconds: float) -> None:
    """Ages damaged files in this process, drawn by hypothesis, and notes each before and after."""
    import hypothesis
    from hypothesis import strategies

    from reage.cli import app
    from reage.cli.request import AgeRequest

    seeds = make_seeds()
    reagers: dict[str, object] = {}
    load = AgeRequest.load_reager

    def load_once(request: AgeRequest) -> object:
        """The program is loaded once; that is not what is examined here."""
        if request.engine not in reagers:
            reagers[request.engine] = load(request)
        return reagers[request.engine]

    AgeRequest.load_reager = load_once  # type: ignore[assignment, method-assign]
    examples = strategies.tuples(
        strategies.sampled_from(sorted(seeds)),
        strategies.lists(strategies.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=4),
        strategies.integers(0, 2**32 - 1),
    )
    plan = hypothesis.settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )

    @hypothesis.seed(seed)
    @plan
    @hypothesis.given(examples)
    def age_one(example: tuple[str, list[str], int]) -> None:
        name, mutations, number = example
        if left[0] > 0 and time.monotonic() < deadline:
            left[0] -= 1
            age_in_process(app, folder, name, mutate(seeds[name], mutations, number, seeds))

    left, deadline = [count], time.monotonic() + seconds
    for name in sorted(seeds):  # each undamaged, which also loads what is loaded at the first face
        age_in_process(app, folder, name, seeds[name], is_limited=False)
    (folder / "outcomes.jsonl").unlink()
    while left[0] > 0 and time.monotonic() < deadline:  # hypothesis ends early where it has drawn all it can
        age_one()
        seed += 1


def age_in_process(app: object, folder: Path, name: str, content: bytes, *, is_limited: bool = True) -> None:
    """Ages one file in this process, under the limits, and notes the outcome.

    Seconds are those of the processor, because others may use it too; `limits` ends a file that waits for ever.
    """
    from typer.testing import CliRunner

    source, output = folder / name, folder / f"aged-{Path(name).stem}.png"
    source.write_bytes(content)
    note(folder, {"name": name})
    reset_peak()
    before = used_mb()
    with limits(folder):
        start = time.process_time()
        done = CliRunner().invoke(app, ["age", str(source), *ARGUMENTS, "-o", str(output)])  # type: ignore[arg-type]
        seconds = time.process_time() - start
    outcome = judge(done.exit_code, done.stderr, source, output)
    if is_limited and seconds > SECONDS_PER_FILE:
        outcome = "over 10 s"
    if is_limited and peak_mb() - before > MB_PER_FILE:
        outcome = "over 2 GB"
    if outcome not in GOOD:
        print(outcome, name, done.stderr[-600:], file=sys.stderr)
        keep(folder, name, outcome)
    note(folder, {"outcome": outcome})
    output.unlink(missing_ok=True)
    source.unlink()


def run_in_own_processes(count: int, seed: int) -> Counter[str]:
    """Outcomes of files in a process for each."""
    seeds, rng, counts = make_seeds(), random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            name = rng.choice(sorted(seeds))
            names = [rng.choice(sorted(MUTATIONS)) for _ in range(rng.randint(1, 4))]
            source, output = Path(folder, name), Path(folder, f"aged-{Path(name).stem}.png")
            source.write_bytes(mutate(seeds[name], names, rng.randrange(2**32), seeds))
            outcome = age_in_own_process(source, output)
            if outcome not in GOOD:
                keep(Path(folder), name, outcome)
            counts[outcome] += 1
            output.unlink(missing_ok=True)
            source.unlink()
    return counts


def age_in_own_process(source: Path, output: Path) -> str:
    """The outcome of one file in a process of its own, which may take as long as loading takes besides."""
    command = [*COMMAND, "age", str(source), *ARGUMENTS, "-o", str(output)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 + SECONDS_PER_FILE, check=False)
    except subprocess.TimeoutExpired:
        return "hang"
    if done.returncode < 0:
        return f"crash, code {done.returncode}"
    return judge(done.returncode, done.stderr, source, output)


def judge(code: int, stderr: str, source: Path, output: Path) -> str:
    """The outcome, by the exit code, what was printed, and what lies in the folder."""
    import PIL.Image

    others = {path.name for path in source.parent.iterdir()} - {source.name, output.name, "outcomes.jsonl"}
    if others:
        for name in others:
            (source.parent / name).unlink()
        return "left over files"
    if code == 0:
        try:
            PIL.Image.open(output).load()
        except Exception:
            return "half a result"
        return "aged"
    if output.exists():
        return "result without success"
    errors = [line for line in stderr.splitlines() if line.startswith("Error: ")]
    if code != 2 or len(errors) != 1 or "unexpected" in stderr:
        return "unforeseen error"
    return "no face" if "No face" in stderr else "refused"


def keep(folder: Path, name: str, outcome: str) -> None:
    """Keeps a file with a bad outcome, to look at it."""
    kept = Path(tempfile.gettempdir(), "reage-fuzz", f"{outcome.replace(' ', '-')}-{time.time_ns()}-{name}")
    kept.parent.mkdir(exist_ok=True)
    if (folder / name).exists():
        kept.write_bytes((folder / name).read_bytes())
        print(f"kept: {kept}", file=sys.stderr)


def note(folder: Path, values: dict[str, str]) -> None:
    """A line in the file of outcomes, which is there also when the process crashes."""
    with (folder / "outcomes.jsonl").open("a") as outcomes_file:
        outcomes_file.write(json.dumps(values) + "\n")


# Limits


@contextmanager
def limits(folder: Path) -> Iterator[None]:
    """At most `MB_PER_FILE` of further addresses, and an end of the process long after `SECONDS_PER_FILE`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (addresses_mb() * 10**6 + 2 * MB_PER_FILE * 10**6, hard))

    def leave(*_: object) -> None:
        (folder / "hang").touch()
        os._exit(3)

    signal.signal(signal.SIGALRM, leave)
    faulthandler.dump_traceback_later(7 * SECONDS_PER_FILE, exit=True)
    signal.alarm(6 * SECONDS_PER_FILE)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _status_mb(name: str) -> int:
    """A number of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) // 1000
    raise KeyError(name)


def used_mb() -> int:
    """Memory of this process."""
    return _status_mb("VmRSS")


def peak_mb() -> int:
    """The most memory of this process since `reset_peak`."""
    return _status_mb("VmHWM")


def addresses_mb() -> int:
    """The size of the addresses of this process."""
    return _status_mb("VmSize")


def reset_peak() -> None:
    """Starts the measurement of `peak_mb` anew."""
    Path("/proc/self/clear_refs").write_text("5")


# Killed runs


def kill_runs(num_kills: int, num_photos: int, seed: int) -> int:
    """Kills runs over a folder at random moments and continues them; prints the counts and returns the exit code."""
    rng, counts, start = random.Random(seed), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_photos(work / "photos", num_photos)
        run(work, "expected").wait()
        expected = contents(work / "expected")
        assert len(expected) == num_photos
        while counts["kills"] < num_kills:
            kill_once(work, rng, expected, counts)
    faults = counts["lost"] + counts["half pictures"] + counts["different"] + counts["runs that failed"]
    faults += counts["left over files"]
    numbers = ", ".join(f"{name}: {count}" for name, count in counts.items())
    print(f"{numbers}; faults: {faults}; {num_photos} photos; {time.monotonic() - start:.0f} s; seed {seed}")
    return int(faults > 0)


def kill_once(work: Path, rng: random.Random, expected: dict[str, bytes], counts: Counter[str]) -> None:
    """One run that is killed, unless it ends before; at its end the results are compared, and the next starts anew."""
    before = contents(work / "aged")
    running = run(work, "aged", "--resume", str(work / "run.jsonl"))
    enough = len(before) + rng.randint(0, 4)
    while running.poll() is None and len(contents(work / "aged")) < enough:
        time.sleep(0.01)
    try:
        running.wait(rng.uniform(0, 1.0))
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
        counts["kills"] += 1
    after = contents(work / "aged")
    counts["lost"] += len(set(before) - set(after))
    counts["half pictures"] += sum(content != expected.get(name) for name, content in after.items())
    if running.returncode == -signal.SIGKILL:
        return
    counts["runs that failed"] += running.returncode != 0
    counts["finished runs"] += 1
    counts["different"] += after != expected
    counts["left over files"] += has_hidden(work / "aged")
    for path in (work / "aged").iterdir():
        path.unlink()
    (work / "run.jsonl").unlink()


def run(work: Path, output: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A run over the photos in two processes."""
    command = [*COMMAND, "age", str(work / "photos"), *ARGUMENTS, "-o", str(work / output), "--jobs", "2", *arguments]
    return subprocess.Popen([*command, "--quiet"], stdout=subprocess.DEVNULL)


def write_photos(folder: Path, count: int) -> None:
    """Small photos of one face, no two alike."""
    import numpy as np
    import PIL.Image
    import skimage.data

    folder.mkdir()
    for number in range(count):
        photo = skimage.data.astronaut()[:256, 96:352].copy()
        photo[:8, :8] = np.random.default_rng(number).integers(0, 256, (8, 8, 3))
        PIL.Image.fromarray(photo).save(folder / f"{number:03}.jpg", quality=90)


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> content of the pictures in a folder."""
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def has_hidden(folder: Path) -> bool:
    """Whether hidden files stay in a folder, when the workers of killed runs have had time to end."""
    deadline = time.monotonic() + SECONDS_PER_FILE
    while any(path.name.startswith(".") for path in folder.iterdir()):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    main()
