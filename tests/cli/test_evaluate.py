"""`reage evaluate` as a person runs it: a report in a folder, and one sentence for every mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.data.shards import write_shards
from reage.data.split import split_of
from reage.images import Image, save_image
from reage.types import Face, Pixels

REPORT = {"report.html", "report.json", "report.md", "rows.parquet"}


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def refused(*arguments: object) -> str:
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), err
    sentence = err.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    return sentence


@pytest.fixture(scope="module")
def photos(photo: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a face and a wall."""
    folder = tmp_path_factory.mktemp("photos")
    save_image(Image(pixels=photo), folder / "face.png")
    save_image(Image(pixels=np.full((80, 80, 3), 120, np.uint8)), folder / "wall.png")
    return folder


@pytest.fixture(scope="module")
def shards(make_portrait: Callable, face: Face, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six held-out people."""
    folder = tmp_path_factory.mktemp("shards")
    names = [name for name in (f"P{i}" for i in range(80)) if split_of(name) == "val"][:6]
    write_shards([make_portrait(face.crop, person=name, age_years=38.0) for name in names], folder)
    return folder


def test_an_engine_that_changes_nothing_scores_no_change_at_all(shards: Path, tmp_path: Path) -> None:
    code, out, err = run(
        "evaluate", "--engine", "none", "--faces", shards, "--targets", "30,50,75", "--zone-faces", 1,
        "--workers", 1, "-o", tmp_path / "report", "--json",
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(out)
    summary = {name: next(iter(cells.values())) for name, cells in report["tables"]["summary"]["rows"].items()}
    assert summary["years gained at 75"]["value"] == 0
    assert summary["identity distance at 75, median"]["value"] == 0
    assert summary["whole crop, mean difference, worst target"]["value"] == 0
    assert summary["years gained at 75"]["num"] == 6
    slope = report["tables"]["zone requests"]["rows"]["glabella"]["slope (1 is ideal)"]
    assert slope["value"] is None, "one face is too few"
    assert {path.name for path in (tmp_path / "report").iterdir()} == REPORT
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report


def test_aifd_can_be_the_second_recognizer(shards: Path, tmp_path: Path) -> None:
    code, out, err = run(
        "evaluate", "--engine", "none", "--faces", shards, "--targets", "50", "--zone-faces", 0, "--matcher", "aifd",
        "--workers", 1, "-o", tmp_path / "report", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["judges"]["identity, second recognizer"] == "aifd"


def test_photos_of_a_folder_are_evaluated(photos: Path, tmp_path: Path) -> None:
    code, out, err = run("evaluate", "--engine", "none", "--faces", photos, "--targets", "60:70:10",
                         "--zone-faces", 0, "--workers", 1, "-o", tmp_path)  # fmt: skip
    assert code == 0, err
    assert "No face was found in wall.png." in err
    assert "not resolvable" in out
    assert out.strip().splitlines()[-1] == str(tmp_path / "report.html")
    assert {path.name for path in tmp_path.iterdir()} == REPORT


def test_pairs_are_named_after_their_folder(photos: Path, photo: Pixels, tmp_path: Path) -> None:
    for folder in ("before", "rival"):
        (tmp_path / folder).mkdir()
    save_image(Image(pixels=photo), tmp_path / "before" / "a.png")
    save_image(Image(pixels=photo[:, ::-1].copy()), tmp_path / "rival" / "a.png")
    code, out, err = run("evaluate", "--pairs", tmp_path / "before", tmp_path / "rival", "--target", 65,
                         "--workers", 1, "-o", tmp_path / "report", "--json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["engine"] == "rival"
    assert list(json.loads(out)["tables"]["by target"]["rows"]["pictures"]) == ["65"]


def test_generated_pictures_are_judged_by_photos(photo: Pixels, tmp_path: Path) -> None:
    for folder in (tmp_path / "photos" / "mia", tmp_path / "generated" / "mia" / "youngadults"):
        folder.mkdir(parents=True)
        save_image(Image(pixels=photo), folder / "1.png")
    arguments = (
        "evaluate",
        "--protocol",
        "identity-preserving",
        "--pairs",
        tmp_path / "photos",
        tmp_path / "generated",
    )
    code, out, err = run(*arguments, "-o", tmp_path / "report", "--json")
    assert code == 0, err
    assert list(json.loads(out)["rows"]) == ["all", "youngadults", "between photos"]
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == json.loads(out)
    code, out, err = run(*arguments, "-o", tmp_path / "report")
    assert code == 0, err
    assert out.strip().splitlines()[-1] == str(tmp_path / "report" / "report.md")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give the faces to evaluate on"),
        (("--protocol", "identity-preserving"), "--pairs PHOTOS GENERATED"),
        (("--protocol", "identity-preserving", "--pairs", "a", "b"), "The folder 'a' cannot be read"),
        (("--faces", "a", "--pairs", "a", "b"), "Give the faces to evaluate on"),
        (("--pairs", "a", "b"), "Pairs have one target age"),
        (("--faces", "a", "--target", 65), "--target belongs to --pairs"),
        (("--faces", "a", "--targets", "old"), "--targets is 'old'; give ages as in 20,30,75 or 20:80:10."),
        (("--faces", "a", "--targets", "30,300"), "target age is 300"),
        (("--faces", "no-such-folder"), "no-such-folder"),
        (("--faces", ".", "--engine", "nobody"), "nobody"),
        (("--faces", ".", "--matcher", "no.onnx"), "no.onnx"),
        (("--faces", ".", "--inception", "no.pt"), "There is no file no.pt"),
    ],
)
def test_mistakes_get_a_sentence(
    arguments: tuple[object, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in refused("evaluate", *arguments)
    assert not any(tmp_path.iterdir()), "nothing is left behind"


def test_sketches_are_judged_on_artists_pairs(photo: Pixels, tmp_path: Path) -> None:
    grey = np.repeat(photo.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    for folder, pixels in (("photos", photo), ("sketches", grey)):
        (tmp_path / folder).mkdir()
        save_image(Image(pixels=np.ascontiguousarray(pixels)), tmp_path / folder / "1.png", altered=False)
    code, out, err = run(
        "evaluate", "--protocol", "sketch", "--pairs", tmp_path / "photos", tmp_path / "sketches",
        "-o", tmp_path / "report", "--json",
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(out)
    assert set(report) == {"drawings", "matching"}
    assert set(report["drawings"]["rows"]) == {"artist, net", "artist, photo in grey"}
    assert report["matching"]["rows"]["artist, direct, aifd"]["rank 1"]["value"] == 1.0
    assert {file.name for file in (tmp_path / "report").iterdir()} == {"report.json", "report.md"}


def test_sketches_need_one_source(tmp_path: Path) -> None:
    assert "--faces FOLDER of shards or of a sketch set, or --pairs" in refused("evaluate", "--protocol", "sketch")
    sentence = refused("evaluate", "--protocol", "sketch", "--faces", tmp_path, "--sketch-set", "ar")
    assert "holds no pairs in the layout of ar" in sentence
