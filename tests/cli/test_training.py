"""`reage training`: show prints every recipe; label, export and judge-face-parser write, or refuse in a sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest
import torch

from reage.cli.extras import EXTRAS
from reage.faces.segmentation import FaceParser
from reage.nets.segmentation import SegmentationNetConfig, build_segmentation_net
from reage.training.recipes import RECIPES
from reage.weights import find_weights, save_weights
from tests.cli.commands import assert_refused, call, files_in

# Recipes


def show(*arguments: object):
    return call("training", "show", *arguments)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_shown(name: str) -> None:
    done = show(name)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert all(" = " in line for line in lines)
    assert len({line.index(" = ") for line in lines}) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_json(name: str) -> None:
    done = show(name, "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout, parse_constant=pytest.fail)
    lines = {line.split(" = ")[0].strip() for line in show(name).stdout.splitlines()}
    assert {key for key, value in values.items() if not isinstance(value, dict)} <= lines


def test_an_unknown_recipe_is_refused() -> None:
    done = show("magic")
    assert done.exit_code == 2
    assert "There is no recipe 'magic'" in done.stderr


def test_the_recipe_of_the_face_parser_shows_how_pictures_are_made() -> None:
    lines = dict(line.split(" = ") for line in show("face-parser").stdout.splitlines())
    settings = {name.strip(): value for name, value in lines.items()}
    assert settings["net.input_px"] == "256"
    assert {"scene.hat_prob", "scene.neighbour_prob", "photometric_augment.max_blur_px"} <= set(settings)


# Labels

LABEL = ("training", "label", "photos", "-o", "scenes", "--person-matte", "selfie_segmentation.tflite")


def test_labels_need_an_extra_that_is_named(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in EXTRAS["label"]:
        monkeypatch.setitem(sys.modules, package, None)
    assert_refused(desk, *LABEL)
    refusal = call(*LABEL).stderr
    assert "ai_edge_litert" in refusal
    assert "pip install 'reage[label]'" in refusal


def test_labels_need_a_net_that_finds_the_person(desk: Path) -> None:
    done = call(*LABEL[:-2])
    assert done.exit_code == 2
    assert "--person-matte" in done.stderr
    assert files_in(desk) == {"photos", "photos/me.png"}


# Export


@pytest.fixture
def weights(desk: Path) -> Path:
    """The weights of a tiny face parser, in the current folder."""
    torch.manual_seed(0)
    config = SegmentationNetConfig(input_px=64, widths=(8, 8, 8))
    described = {"net": {"input_px": 64, "widths": [8, 8, 8]}, "recipe": {}, "seed": 3, "commit": "0123abc"}
    described["name"] = "face-parser"
    save_weights("parser.safetensors", build_segmentation_net(config).state_dict(), described)
    return Path("parser.safetensors")


@pytest.mark.usefixtures("weights")
def test_a_face_parser_is_exported(desk: Path) -> None:
    done = call("training", "export", "parser.safetensors", "-o", "nets/face-parser.onnx")
    assert done.exit_code == 0, done.output
    assert done.stdout == "nets/face-parser.onnx\n"
    assert files_in(desk) == {*("photos", "photos/me.png", "parser.safetensors", "nets", "nets/face-parser.onnx")}
    stored = {entry.key: entry.value for entry in onnx.load("nets/face-parser.onnx").metadata_props}
    assert (stored["seed"], stored["commit"]) == ("3", "0123abc")
    FaceParser.load("nets/face-parser.onnx")


def test_other_files_are_not_exported(desk: Path) -> None:
    (desk / "text.safetensors").write_text("no weights")
    for path in ("text.safetensors", "missing.safetensors", find_weights("zones-a")):
        assert_refused(desk, "training", "export", path, "-o", "face-parser.onnx")


# Scenes


def test_folders_without_labelled_photos_are_refused(desk: Path) -> None:
    assert_refused(desk, "training", "judge-face-parser", "--shards", "photos")
    assert_refused(desk, "training", "fit", "face-parser", "--shards", "photos", "-o", "parser.safetensors")
    assert "reage training label" in call("training", "judge-face-parser", "--shards", "photos").stderr


@pytest.mark.parametrize("command", ["label", "export", "judge-face-parser"])
def test_the_help_has_an_example(command: str) -> None:
    done = call("training", command, "--help")
    assert done.exit_code == 0
    assert f"Example: reage training {command}" in done.stdout
