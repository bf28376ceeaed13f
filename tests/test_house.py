"""What the house promises: nothing heavy at import, names that resolve, short files, commands that exist."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import skimage.data

import reage
from reage.engines import ENGINES, TORCH_ENGINES
from reage.images import Image, load_image, save_image

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "onnxruntime", "cv2", "PIL", "scipy", "skimage", "diffusers", "pyarrow", "ray")
EXTRA = ("torch", "einops", "onnx", "diffusers", "transformers", "pyarrow", "matplotlib", "ray", "fsspec")
"""Packages that a base install lacks."""
BASE_ENGINES = [name for name in ENGINES if name not in TORCH_ENGINES]
UNSAYING = {"utils", "util", "helper", "helpers", "manager", "common", "misc"}


def run_fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["reage", "reage.cli", "reage.engines", "reage.types"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    loaded = run_fresh(f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))")
    assert loaded == ""


def test_the_help_loads_nothing_heavy() -> None:
    code = f"""
import sys
from reage.cli import main
sys.argv = ["reage", "--help"]
try:
    main()
except SystemExit:
    pass
print("loaded:", *(name for name in {HEAVY} if name in sys.modules))
"""
    assert run_fresh(code).splitlines()[-1] == "loaded:"


def test_commands_of_a_base_install_load_no_package_of_an_extra(tmp_path: Path) -> None:
    photo = tmp_path / "me.png"
    save_image(Image(pixels=skimage.data.astronaut()[:256, 96:352].copy()), photo, altered=False)
    commands = [
        *(["age", "me.png", "--to", "70", "--engine", name, "-o", f"{name}.png"] for name in BASE_ENGINES),
        *(["find", "me.png"], ["measure", "me.png"], ["compare", "me.png", "me.png"]),
        *(["zones", "me.png"], ["zones", "me.png", "--by", "none"], ["devices"]),
    ]
    code = f"""
import sys
from reage.cli import app
for command in {commands}:
    app(command, standalone_mode=False)
    print("loaded:", command[0], *(name for name in {EXTRA} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("loaded:")]
    assert lines == [f"loaded: {command[0]}" for command in commands]


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
        assert len(path.read_text().splitlines()) <= 600, path
        assert path.stem not in UNSAYING, path


def test_readme_starts_with_commands_that_exist() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make (\w+)", readme + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"demo", "test", "check", "bench"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_have_no_long_lines(page: Path) -> None:
    assert max(map(len, page.read_text().splitlines())) <= 150


def test_contributing_prints_the_order_that_is_enforced() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    printed = (ROOT / "CONTRIBUTING.md").read_text()
    order = re.search(r"^ {4}cli > .*?errors$", printed, re.MULTILINE | re.DOTALL)
    assert order
    assert [" | ".join(layer.split(" | ")) for layer in contract["layers"]] == [
        " ".join(room.split()) for room in order[0].split(">")
    ]


# Words

OLD_WORDS = re.compile(
    r"(?<![a-z])(?:album|crew|deck|doses?|grain|headline|journals?|lessons?|likeness|makers?|meters?|opinions?|pairing"
    r"|refined_by|shades|silence|untaught|own_part|find_clear|largest_gradient|mean_decay|identity engine)(?![a-z])",
    re.IGNORECASE,
)
"""Words of an older vocabulary: the field has its own for these ideas (see docs/glossary.md)."""

OLD_NAMES = {
    *("Meter", "Identifier", "OnnxMatcher", "Parts", "Parser", "View", "Square", "Lessons", "Deck", "Orders", "Order"),
    *("Album", "Pairs", "Shades", "Journal", "Schedule", "Base", "Others", "Drawn", "IdentityEngine", "Course"),
    *("silent", "quiet", "honest", "watch", "way", "ways", "told", "tell", "orders", "signs", "squares", "shades"),
    *("story", "stories", "crew", "coin", "coins", "meter", "identifier", "regularization", "find_noise", "silence"),
    *("deck", "album", "dose", "doses", "grain", "journal", "lessons", "lesson", "likeness", "headline", "opinion"),
}


def python_names(path: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.NAME:
            yield token.string


SOURCES = [path for room in ("src", "tests", "benchmarks", "examples") for path in (ROOT / room).rglob("*.py")]


def test_code_is_written_in_the_words_of_the_field() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in set(python_names(path)) & OLD_NAMES
        if path != Path(__file__)
    }
    assert found == set()


def test_prose_is_written_in_the_words_of_the_field() -> None:
    pages = [*SOURCES, *PAGES, *(ROOT / "benchmarks").glob("*.md")]
    found = {
        f"{page.relative_to(ROOT)}: {word}"
        for page in pages
        if page not in (Path(__file__), ROOT / "docs" / "experiments.md")
        for word in OLD_WORDS.findall(page.read_text())
    }
    assert found == set()


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_are_sentences(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = (ast.get_docstring(node) or "-").split()[0]
            assert first not in ("Of", "Whose"), (getattr(node, "name", "module"), node)


def test_example_writes_the_demo_photo(tmp_path: Path) -> None:
    photo = tmp_path / "demo" / "astronaut.png"
    subprocess.run([sys.executable, ROOT / "examples" / "demo.py", photo], check=True)
    np.testing.assert_array_equal(load_image(photo).pixels, skimage.data.astronaut())


def test_example_carries_out_its_plans(tmp_path: Path) -> None:
    photo = tmp_path / "me.png"
    save_image(Image(pixels=skimage.data.astronaut()[:256, 96:352].copy()), photo, altered=False)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "many_plans.py", photo],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    outputs = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert "me-old.png" in outputs
    assert {path.name for path in tmp_path.iterdir()} == {"me.png", *outputs}
