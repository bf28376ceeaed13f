"""What the house promises: nothing heavy at import, names that resolve, short files, commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import skimage.data

import reage
from reage.images import Image, load_image, save_image

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "cv2", "dlib", "PIL", "scipy", "skimage")
UNSAYING = {"utils", "util", "helper", "helpers", "manager", "common", "misc"}


def run_fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["reage", "reage.cli", "reage.engines", "reage.types"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    loaded = run_fresh(f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))")
    assert loaded == ""


def test_importing_writes_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "import reage.cli"], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", reage.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(reage, name) is not None
    assert name in dir(reage)


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = reage.nonsense


def test_version_is_the_installed_one() -> None:
    assert reage.__version__ == version("reage")
    assert f"## {reage.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_files_are_short_and_well_named() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
        assert path.stem not in UNSAYING, path


def test_readme_starts_with_commands_that_exist() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make (\w+)", readme + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"demo", "test", "check", "bench"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/engines.md", "docs/personal.md", "docs/zones.md"]
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_example_writes_the_demo_photo(tmp_path: Path) -> None:
    photo = tmp_path / "demo" / "astronaut.png"
    subprocess.run([sys.executable, ROOT / "examples" / "demo.py", photo], check=True)
    np.testing.assert_array_equal(load_image(photo).pixels, skimage.data.astronaut())


def test_example_carries_out_its_orders(tmp_path: Path) -> None:
    photo = tmp_path / "me.png"
    save_image(Image(pixels=skimage.data.astronaut()[:256, 96:352].copy()), photo, altered=False)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "many_orders.py", photo],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    outputs = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert "me-old.png" in outputs
    assert {path.name for path in tmp_path.iterdir()} == {"me.png", *outputs}
