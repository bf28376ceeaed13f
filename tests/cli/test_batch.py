"""`reage batch`: what it prints and leaves, continued, and refused; its workers work in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reage.images import load_image
from tests.cli.commands import assert_refused, call, files_in
from tests.cluster.conftest import PoolHere


@pytest.fixture(autouse=True)
def pools(monkeypatch: pytest.MonkeyPatch) -> list[PoolHere]:
    """Those of all runs, in place of Ray's."""
    made: list[PoolHere] = []

    def make(**_: object) -> PoolHere:
        made.append(PoolHere())
        return made[-1]

    monkeypatch.setattr("reage.cluster.RayPool", make)
    return made


def test_a_store_is_aged_and_a_run_goes_on(desk: Path, pools: list[PoolHere]) -> None:
    (desk / "photos" / "inside").mkdir()
    (desk / "photos" / "inside" / "broken.jpg").write_bytes(b"no picture")
    (desk / "photos" / "notes.txt").write_text("left out")
    arguments = ("batch", "photos", "-o", "aged", "--to", 100, "--engine", "none")
    done = call(*arguments)
    assert done.exit_code == 1, done.output
    assert done.stderr.splitlines()[1].startswith("2/2 me.png: 1 face in")
    assert f"1/2 inside/broken.jpg: failed: '{desk}/photos/inside/broken.jpg' is not a picture" in done.stderr
    assert done.stdout.splitlines()[-1] == "aged"
    assert files_in(desk / "aged") == {"me.png", "manifest.parquet"}
    assert (load_image("aged/me.png").pixels == load_image("photos/me.png").pixels).all()
    values = json.loads(call(*arguments, "--json").stdout)
    assert (values["input"], values["output"], values["failed"], values["skipped"]) == ("photos", "aged", 1, 1)
    assert [one["input"] for one in values["left_out"]] == ["notes.txt"]
    assert [pool.given for pool in pools] == [["inside/broken.jpg", "me.png"], ["inside/broken.jpg"]]
    (desk / "photos" / "inside" / "broken.jpg").unlink()
    again = call(*arguments, "--jsonl", "--verbose")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["skipped"] == "finished before, by the manifest"
    assert "1/1 me.png: skipped: finished before, by the manifest" in again.stderr
    assert_refused(desk, "batch", "photos", "-o", "aged", "--to", 30, "--engine", "none")


@pytest.mark.parametrize(
    "arguments",
    [
        ("photos", "-o", "aged"),
        ("photos", "-o", "photos", "--to", 70),
        ("photos", "-o", "photos/me.png/aged", "--to", 70),
        ("missing", "-o", "aged", "--to", 70),
        ("memory://photos", "-o", "aged", "--to", 70),
        ("photos", "-o", "memory://aged", "--to", 70),
        ("nonsense://photos", "-o", "aged", "--to", 70),
        ("photos", "-o", "aged", "--to", 170),
        ("photos", "-o", "aged", "--to", 70, "--engine", "nonsense"),
        ("photos", "-o", "aged", "--to", 70, "--json", "--jsonl"),
    ],
)
def test_what_cannot_be_done_is_refused(desk: Path, arguments: tuple[object, ...]) -> None:
    assert_refused(desk, "batch", *arguments)
