"""`reage engines`: what it lists."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from reage.cli import app
from reage.engines import DEFAULT_ENGINE, ENGINES


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_engines_are_listed() -> None:
    assert all(name in call("engines").stdout for name in ENGINES)
    values = json.loads(call("engines", "--json").stdout)
    assert [engine["name"] for engine in values["engines"]] == list(ENGINES)
    assert [engine["name"] for engine in values["engines"] if engine["default"]] == [DEFAULT_ENGINE]
    assert all({"summary", "accepts", "ages", "weights_hash"} <= engine.keys() for engine in values["engines"])
