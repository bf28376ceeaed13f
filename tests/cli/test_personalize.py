"""The command `reage personalize`: a file, a sheet, and one sentence for every mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from reage.images import Image, load_image, save_image
from reage.nets.dreambooth import load_person
from reage.prompts import AGE_LABELS
from tests.cli.commands import call


@pytest.fixture(scope="module")
def base(save_tiny_base: Callable[..., Path]) -> Path:
    return save_tiny_base()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo person, and a wall."""
    folder = tmp_path_factory.mktemp("photos")
    save_image(Image(pixels=skimage.data.astronaut()[:256, 96:352].copy()), folder / "me.png", altered=False)
    save_image(Image(pixels=np.full((80, 80, 3), 120, np.uint8)), folder / "wall.png", altered=False)
    return folder


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def class_images(workdir: Path) -> Path:
    (workdir / "others").mkdir()
    for number, label in enumerate(("old", "child")):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        save_image(Image(pixels=pixels), workdir / "others" / f"{label}_{number}.png", altered=False)
    return workdir / "others"


def test_a_person_is_learned_and_a_sheet_is_drawn(photos: Path, base: Path, class_images: Path, workdir: Path) -> None:
    done = call(
        *("personalize", photos, "--out", "mia.safetensors", "--base", base, "--steps", 2, "--token", "ohwx"),
        *("--class-word", "woman", "--class-images", class_images, "--log-dir", "runs/mia", "--seed", 3, "--json"),
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["output"], summary["sheet"], summary["photos"]) == ("mia.safetensors", "mia-sheet.jpg", ["me.png"])
    assert (summary["without_face"], summary["steps"], summary["seed"], summary["num_class_images"]) == (
        ["wall.png"],
        2,
        3,
        2,
    )
    assert set(summary["losses"]) == {"instance", "prior", "identity", "loss"}
    assert summary["peak_memory_mb"]["main"] > 50
    assert summary["base_hash"]
    assert "No face was found in wall.png." in done.stderr
    assert "There are only 1 photos with a face" in done.stderr
    assert {path.name for path in workdir.iterdir()} == {"mia-sheet.jpg", "mia.safetensors", "others", "runs"}
    assert load_image("mia-sheet.jpg").pixels.shape[0] > (len(AGE_LABELS) + 1) * 192
    assert load_person("mia.safetensors")[1].prompt("old") == "photo of a ohwx woman as old"


def test_a_summary_is_printed(photos: Path, base: Path, workdir: Path) -> None:
    done = call("personalize", photos, "-o", "mia.safetensors", "--base", base, "--steps", 1, "--full")
    assert done.exit_code == 0, done.output
    first, *files = done.stdout.splitlines()
    assert first.startswith("1 photos, 1 steps in ")
    assert first.endswith(" GB of memory")
    assert files == ["mia.safetensors", "mia-sheet.jpg"]
    assert "without --class-images the base may take every face for this one" in done.stderr
    assert load_person("mia.safetensors")[1].lora_rank == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "mia.pt"), "ends in .safetensors"),
        (("-o", "missing/mia.safetensors"), "folder 'missing' is not there"),
        (("--preset", "best"), "no preset 'best'"),
        (("--base", "nowhere"), "no diffusion base 'nowhere'"),
        (("--token", "person"), "'person' is an ordinary word"),
        (("--token", "two words"), "is no single word"),
        (("--class-images", "none"), "none"),
    ],
)
def test_unusable_options_are_refused(
    options: tuple[str, ...], words: str, photos: Path, base: Path, workdir: Path
) -> None:
    done = call("personalize", photos, "-o", "mia.safetensors", "--base", base, "--steps", 1, *options)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert list(workdir.iterdir()) == []


def test_unusable_photos_are_refused(base: Path, photos: Path, workdir: Path) -> None:
    (workdir / "empty").mkdir()
    for folder, words in (("empty", "holds no pictures"), ("missing", "missing"), (photos / "me.png", "me.png")):
        done = call("personalize", folder, "-o", "mia.safetensors", "--base", base, "--steps", 1)
        assert done.exit_code == 2, done.output
        assert words in done.stderr
    done = call("personalize", photos, "-o", photos / "mia.safetensors", "--base", base, "--steps", 1)
    assert "would lie among the photos" in done.stderr


def test_help_has_an_example() -> None:
    done = call("personalize", "--help")
    assert done.exit_code == 0
    assert "Example: reage personalize " in done.stdout
