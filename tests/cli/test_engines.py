"""`reage engines`: what it lists."""

from __future__ import annotations

import json

from reage.engines import DEFAULT_ENGINE, ENGINES
from tests.cli.commands import call


def test_engines_are_listed() -> None:
    assert all(name in call("engines").stdout for name in ENGINES)
    values = json.loads(call("engines", "--json").stdout)
    assert [engine["name"] for engine in values["engines"]] == list(ENGINES)
    assert [engine["name"] for engine in values["engines"] if engine["default"]] == [DEFAULT_ENGINE]
    assert all({"summary", "accepts", "ages", "weights_hash"} <= engine.keys() for engine in values["engines"])
