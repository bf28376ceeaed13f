"""`reage devices`, and devices that are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import call


def test_devices_are_listed() -> None:
    done = call("devices")
    assert done.exit_code == 0, done.stderr
    assert all(name in done.stdout for name in ("cpu", "cuda", "coreml", "directml", "(auto)"))
    listed = json.loads(call("devices", "--json").stdout)
    assert listed["devices"]["cpu"] is True
    assert listed["devices"][listed["auto"]] is True


@pytest.mark.parametrize("engine", ["exemplar", "amgan", "ldla"])
def test_a_device_that_is_not_there_is_refused_in_a_sentence(engine: str, desk: Path) -> None:
    done = call("age", "photos/me.png", "--to", 70, "--engine", engine, "--device", "magic")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "'magic'" in done.stderr
