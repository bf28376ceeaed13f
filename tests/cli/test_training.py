"""`reage training show`: the configuration of every recipe, as text and as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.training.recipes import RECIPES


def call(*arguments: object):
    return CliRunner().invoke(app, ["training", "show", *map(str, arguments)])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_shown(name: str) -> None:
    done = call(name)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert all(" = " in line for line in lines)
    assert len({line.index(" = ") for line in lines}) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_json(name: str) -> None:
    done = call(name, "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout, parse_constant=pytest.fail)
    lines = {line.split(" = ")[0].strip() for line in call(name).stdout.splitlines()}
    assert {key for key, value in values.items() if not isinstance(value, dict)} <= lines


def test_an_unknown_recipe_is_refused() -> None:
    done = call("magic")
    assert done.exit_code == 2
    assert "There is no recipe 'magic'" in done.stderr
