"""What the wheel holds, and what the Dockerfile says."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from reage.errors import WeightsError
from reage.weights import JUDGES, SHIPPED, find_weights
from tests.package_build import MOUNT, ROOT, find_problems, pip_arguments

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def make_wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("reage/__init__.py", "reage/weights_data/exemplar.safetensors", *names):
            archive.writestr(name, "")
    return path


def test_the_wheel_leaves_out_exactly_the_judges() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    excluded = [ROOT / name for name in build["targets"]["wheel"]["exclude"]]
    assert [path.stem for path in excluded] == list(JUDGES)
    assert all(path.is_file() and path.parent == SHIPPED for path in excluded)


def test_a_judge_that_is_not_installed_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reage.weights.SHIPPED", tmp_path)
    with pytest.raises(WeightsError, match=r"'age-b', which judge evaluations, are no part of the wheel; clone"):
        find_weights("age-b")


def test_problems_of_a_wheel(tmp_path: Path) -> None:
    licence = "reage-0.1.0.dist-info/licenses/src/reage/weights_data/LICENSE-mediapipe"
    assert find_problems(make_wheel(tmp_path / "a.whl", licence), JUDGES) == []
    wrong = make_wheel(tmp_path / "b.whl", "tests/x.py", "reage/weights_data/age-b.onnx")
    assert find_problems(wrong, JUDGES) == [
        "it holds tests/x.py, which is no part of reage",
        "it holds the judge age-b",
        "it lacks LICENSE-mediapipe",
    ]


def test_the_dockerfile_installs_reage_and_runs_it_as_nobody_special() -> None:
    ((command, *arguments),) = pip_arguments(DOCKERFILE)
    assert command == "install"
    assert arguments[-1] == MOUNT
    assert f"{MOUNT}/constraints.txt" in arguments
    instructions = re.findall(r"(?m)^([A-Z]+) (.*)", DOCKERFILE)
    names = [name for name, _ in instructions]
    assert instructions[0] == ("FROM", "python:3.13-slim")
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert dict(instructions)["USER"] != "root"
    assert "apt" not in DOCKERFILE


def test_the_dockerfile_gets_what_the_package_is_built_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    needed = ["pyproject.toml", "constraints.txt", project["readme"], *project["license-files"]]
    assert all(any(name == root or name.startswith(f"{root}/") for root in sent) for name in needed)
    assert {"src", *sent} == set(sent)
