"""Extras: missing packages are named with the extra that installs them."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.cli.extras import EXTRAS, require_extra
from reage.errors import ReageError

INSTALLED = [name for name in EXTRAS if name not in ("convert", "label")]
"""Extras that tests run with; nets of TensorFlow are not among them."""


@pytest.mark.parametrize("name", INSTALLED)
def test_installed_extras_are_no_error(name: str) -> None:
    require_extra(name)
    require_extra(*INSTALLED)


def test_missing_packages_are_named_with_their_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ReageError) as refusal:
        require_extra("train", "diffusion")
    assert str(refusal.value) == "This command also needs peft; run `pip install 'reage[diffusion]'`."
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReageError, match=r"needs peft, pyarrow; run `pip install 'reage\[train,diffusion\]'`\.$"):
        require_extra("train", "diffusion")


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        (("training", "fit", "exemplar", "--shards", "shards"), "pyarrow", "train"),
        (("training", "show", "exemplar"), "accelerate", "train"),
        (("training", "draw", "ldm-small"), "diffusers", "diffusion"),
        (("training", "convert", "mediapipe", "-o", "nets"), "tf2onnx", "convert"),
        (("training", "export", "parser.safetensors", "-o", "parser.onnx"), "onnx", "train"),
        (("training", "judge-face-parser", "--shards", "scenes"), "pyarrow", "train"),
        (("training", "label", "photos", "-o", "scenes", "--person-matte", "m.tflite"), "ai_edge_litert", "label"),
        (("serve",), "fastapi", "web"),
        (("batch", "photos", "-o", "aged", "--to", "70"), "ray", "ray"),
        (("serve", "--sign", "c.pem", "--key", "k.pem"), "c2pa", "provenance"),
        (("evaluate", "--faces", "photos"), "torchmetrics", "evaluate"),
        (("personalize", "photos", "--out", "mia.safetensors"), "peft", "diffusion"),
        (("imagine", "mia.safetensors", "--as", "old"), "diffusers", "diffusion"),
    ],
)
def test_commands_name_their_extra(
    command: tuple[str, ...], package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f"reage[{extra}]" in done.stderr
