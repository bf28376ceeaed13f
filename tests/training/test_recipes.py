"""The table of recipes, and one run from shards to shipped weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import reage
from reage.cli import app
from reage.data.shards import Portrait, write_shards
from reage.data.split import split_of
from reage.engines import load_engine
from reage.errors import ImageError, ReageError
from reage.images.regions import to_pixels
from reage.nets.diffusion_folder import INDEX, PROVENANCE
from reage.nets.runtime import load_session
from reage.training.convert import SOURCES
from reage.training.recipes import RECIPES, find_recipe, train
from reage.types import CompletePlan, Face, Reading
from reage.weights import SHIPPED, find_weights, load_weights

SHIPPED_RECIPES = [name for name in RECIPES if name != "deaging-published"]
"""All but those whose weights are only there to be compared with."""


def read_provenance(name: str) -> dict[str, Any]:
    """What is stored in shipped weights: beside a base, in an ONNX file, or in a safetensors file."""
    folder = SHIPPED / name
    if folder.is_dir():
        return json.loads((folder / PROVENANCE).read_text())
    if folder.with_suffix(".onnx").is_file():
        stored = load_session(name).get_modelmeta().custom_metadata_map
        return {key: json.loads(value) if value[:1] in ("{", "[") else value for key, value in stored.items()}
    return load_weights(find_weights(name))[1]


FORMER_RECIPES = {
    "ldm-small": {"autoencoder", "denoiser", "face_denoiser"},
    "ldla": {"dataset", "pretrain", "trainer", "losses", "score_net"},
}
"""Weights that a former recipe made, with fields of it."""


def test_every_shipped_file_has_its_recipe() -> None:
    folders = {index.parent.name for index in SHIPPED.glob(f"*/{INDEX}")}
    exported = {path.stem for path in SHIPPED.glob("*.onnx")} - {source.name for source in SOURCES}
    shipped = {path.stem for path in SHIPPED.glob("*.safetensors")} | folders | exported
    assert shipped == set(SHIPPED_RECIPES)


@pytest.mark.parametrize("name", SHIPPED_RECIPES)
def test_shipped_weights_say_how_they_came_about(name: str) -> None:
    stored = read_provenance(name)
    assert stored["name"] == name
    assert len(stored["commit"]) >= 7
    assert stored["version"]


@pytest.mark.parametrize("name", SHIPPED_RECIPES)
def test_shipped_weights_hold_the_fields_of_todays_configuration(name: str) -> None:
    """So that a run can be repeated from the file: same names at every level, whatever the values.

    Weights of a recipe before today's (see their cards) say how they came about in the fields of that one.
    """
    stored, config = read_provenance(name), asdict(find_recipe(name).load_config())
    if name in FORMER_RECIPES:
        assert len(FORMER_RECIPES[name] & set(stored.get("recipe", stored))) == len(FORMER_RECIPES[name])
    else:
        assert field_names(stored["recipe"]) == field_names(config)


def field_names(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: field_names(value) for name, value in values.items()}
    return None


def test_a_recipe_is_a_configuration_that_a_program_can_read() -> None:
    done = CliRunner().invoke(app, ["training", "show", "amgan", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["finetune_losses"]["critic_aging_map"] == 10


@pytest.mark.parametrize("name", ["magic", "", "Face-parser"])
def test_unknown_recipe_is_refused_before_anything_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReageError) as refusal:
        train(name, tmp_path / "missing", tmp_path / "out.safetensors")
    text = str(refusal.value)
    assert f"'{name}'" in text
    assert all(known in text for known in RECIPES)
    assert text.endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_folder_without_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no portraits in"):
        train("exemplar", tmp_path, tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def shards(face: Face, make_portrait: Callable[..., Portrait], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight variants of the demo photo, enlarged and without its fringe: lighter and darker, older and younger."""
    training = [person for number in range(30) if split_of(person := f"P{number}") == "train"]
    bare = face.crop.astype(np.float32)
    forehead = np.s_[60:190, 130:380]
    bare[forehead] = face.crop[330:335, 150:170].mean((0, 1))
    rows = []
    for number, person in enumerate(training[:8]):
        crop = to_pixels(bare * (0.85 + 0.03 * (3 * number % 8)))
        row = make_portrait(crop, person=person, age_years=30 + 6 * number, sex="MF"[number % 2], side_px=640)
        rows.append(replace(row, age_prompted_years=row.age_years))
    folder = tmp_path_factory.mktemp("shards")
    write_shards(rows, folder)
    return folder


def test_a_file_as_log_folder_is_refused_before_anything_is_trained(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    arguments = ["training", "fit", "exemplar", "--shards", shards, "-o", tmp_path / "out.safetensors"]
    done = CliRunner().invoke(app, [*map(str, arguments), "--log-dir", str(tmp_path / "taken")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: The log cannot be kept in ")
    assert [left.name for left in tmp_path.iterdir()] == ["taken"]


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("exemplar", shards, tmp_path_factory.mktemp("weights") / "mine.safetensors")


def test_a_recipe_leaves_its_weights_and_nothing_else(trained: Path) -> None:
    assert [left.name for left in trained.parent.iterdir()] == ["mine.safetensors"]
    tensors, config = load_weights(trained)
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert (config["name"], config["version"], config["num_portraits"]) == ("exemplar", reage.__version__, 8)


def test_its_weights_are_an_engine(trained: Path, face: Face, reading: Reading) -> None:
    engine = load_engine("exemplar", weights=trained)
    assert engine.weights_hash != load_engine("exemplar").weights_hash
    aged = engine.render(face, reading, CompletePlan(age=70, age_from=38))
    assert aged.crop.shape == face.crop.shape
    assert (aged.crop != face.crop).any()


def test_it_repeats_itself_in_the_current_folder(
    trained: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    again = train("exemplar", shards)
    assert again == Path("exemplar.safetensors")
    (tensors, config), (others, other_config) = load_weights(again), load_weights(trained)
    assert {**config, "commit": ""} == {**other_config, "commit": ""}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, others[name])
