"""Checks every command with a python that has reage without its extras; run by hand and by CI, not by pytest.

    python -m venv base && base/bin/pip install -c constraints.txt . && base/bin/python tests/base_install.py photo.png

Commands that need no extra must succeed; the others must name the missing extra in one sentence, with exit code 2.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

EXTRAS = (
    *(
        "accelerate",
        "diffusers",
        "einops",
        "faiss",
        "matplotlib",
        "onnx",
        "peft",
        "pyarrow",
        "ray",
        "tf2onnx",
        "torch",
        "torchmetrics",
    ),
    "transformers",
)
"""Packages that must not be installed."""

WORKING = (
    "--version",
    "find me.png",
    "engines",
    "devices",
    "zones",
    "zones me.png",
    "zones me.png --map --to 70",
    "zones me.png --by amgan",
    "zones me.png --by amgan --presets",
    "measure me.png --to 70",
    "compare me.png me.png",
    "compare me.png me.png --matcher aifd",
    "sketch me.png -o sketch.png",
    "sketch me.png --style composite -o composite.png",
    "match me.png photos",
    "forensic me.png --to 30 -o case",
    "reenact me.png --expression smile=0.8 --yaw 10 -o smile.png",
    "age me.png --to 70 --like me.png -o like.png",
    "age me.png --to 70",
    "age me.png --to 70 --zones crows_feet=0.9,forehead=0.2 -o zones.png",
    "age me.png --zones older -o older.png",
    "age me.png --sweep 30:60:30",
    "age photos --to 70 -o aged",
    "age me.png --to 70 --engine none -o same.png",
    "age me.png --to 70 --engine agetransgan -o agetransgan.png",
    "age me.png --to 70 --engine amgan -o amgan.png",
    "age me.png --to 70 --device auto -o auto.png",
)

REFUSED = (
    ("age me.png --to 70 --engine ldla", "diffusion"),
    ("personalize photos --out mia.safetensors", "diffusion"),
    ("imagine mia.safetensors --as old", "diffusion"),
    ("evaluate --faces photos", "evaluate"),
    ("match me.png photos --index faces.parquet", "match"),
    ("training fit exemplar --shards shards", "train"),
    ("training show amgan", "train"),
    ("training export age-a", "train"),
    ("training draw ldm-small", "diffusion"),
    ("age me.png --to 70 --engine personal --person mia.safetensors", "diffusion"),
    ("age me.png --to 70 --engine ldla --device cuda", "diffusion"),
    ("batch photos -o aged --to 70", "ray"),
    ("training convert nets -o nets", "convert"),
)
"""Commands, and the extra that they need."""


def call(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a reage command in a folder."""
    arguments = [sys.executable, "-m", "reage", *command.split()]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)


def find_problem(done: subprocess.CompletedProcess[str], extra: str | None) -> str:
    """Why the result of a command is wrong, with the last line it printed; "" when it is right."""
    lines = done.stderr.strip().splitlines() or [""]
    if "Traceback" in done.stderr + done.stdout:
        return f"traceback: {lines[-1]}"
    if extra is None:
        return "" if done.returncode == 0 else f"exit code {done.returncode}: {lines[-1]}"
    if done.returncode != 2:
        return f"exit code {done.returncode} instead of 2: {lines[-1]}"
    named = lines[0].startswith("Error: ") and "pip install" in lines[0] and extra in lines[0].partition("reage[")[2]
    return "" if len(lines) == 1 and named else f"it does not name the extra '{extra}' in one sentence: {done.stderr}"


def check_commands(photo: Path, folder: Path) -> Iterator[bool]:
    """Runs every command in an empty folder, prints a line for each, and yields whether it was right."""
    (folder / "photos").mkdir()
    for copy in (folder / "me.png", folder / "photos" / "me.png"):
        shutil.copy(photo, copy)
    (folder / "mia.safetensors").write_bytes(b"")
    for command, extra in (*((command, None) for command in WORKING), *REFUSED):
        problem = find_problem(call(command, folder), extra)
        outcome = problem or ("ok" if extra is None else f"ok, asks for the extra {extra}")
        print(f"reage {command}: {outcome}", flush=True)
        yield not problem


def main() -> int:
    """The exit code: 0 when every command was right."""
    if len(sys.argv) != 2:
        print("Give one PNG with a face: python tests/base_install.py photo.png", file=sys.stderr)
        return 2
    installed = [name for name in EXTRAS if find_spec(name) is not None]
    if installed:
        print(f"This python has {', '.join(installed)}; use one with reage alone.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        right = list(check_commands(Path(sys.argv[1]).resolve(), Path(folder)))
    print(f"{sum(right)} of {len(right)} commands are right")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
