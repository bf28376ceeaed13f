"""Checks what users install; run by hand and by CI, not by pytest.

python tests/package_build.py check dist        # what the wheel holds and how large it is
python tests/package_build.py docker VENV       # runs the pip lines of the Dockerfile with the pip of VENV
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_WHEEL_BYTES = 100_000_000
"""The limit of PyPI for a file."""
MOUNT = "/source"
"""Where the Dockerfile mounts the repository."""


def find_problems(wheel: Path, judges: tuple[str, ...]) -> list[str]:
    """What is wrong with a wheel, a sentence each: size, weights that only judge, files that are no part of reage."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    stems = {Path(name).stem for name in names}
    foreign = [name for name in names if not re.match(r"reage(/|-[\d.]+\.dist-info/)", name)]
    problems = [f"it holds {name}, which is no part of reage" for name in foreign]
    problems += [f"it holds the judge {judge}" for judge in judges if judge in stems]
    problems += [f"it lacks {name}" for name in ("exemplar", "LICENSE-mediapipe") if name not in stems]
    size = wheel.stat().st_size
    return [*problems, f"it has {size:,} bytes, PyPI takes {MAX_WHEEL_BYTES:,}"] if size > MAX_WHEEL_BYTES else problems


def pip_arguments(dockerfile: str) -> list[list[str]]:
    """The arguments of every pip in the RUN instructions of a Dockerfile."""
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", dockerfile)).splitlines()
    runs = [re.sub(r"--mount=\S+", "", line.removeprefix("RUN ")) for line in lines if line.startswith("RUN ")]
    commands = [shlex.split(command) for run in runs for command in run.split("&&")]
    return [command[1:] for command in commands if command[0] == "pip"]


def check(folder: Path) -> int:
    """Prints the size of the one wheel in a folder and what is wrong with it; the exit code."""
    from reage.weights import JUDGES

    (wheel,) = folder.glob("*.whl")
    problems = find_problems(wheel, JUDGES)
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {'; '.join(problems) or 'ok'}")
    return 1 if problems else 0


def install_as_docker(venv: Path) -> int:
    """Runs the pip lines of the Dockerfile with the pip of an environment; the exit code."""
    for arguments in pip_arguments((ROOT / "Dockerfile").read_text()):
        local = [argument.replace(MOUNT, str(ROOT)) for argument in arguments]
        subprocess.run([venv / "bin" / "python", "-m", "pip", *local, "--quiet"], check=True)
    return 0


if __name__ == "__main__":
    sys.exit({"check": check, "docker": install_as_docker}[sys.argv[1]](Path(sys.argv[2])))
