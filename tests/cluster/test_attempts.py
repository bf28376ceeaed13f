"""What is kept of blocks that are not complete."""

from __future__ import annotations

from reage.cluster.attempts import Attempts


def test_what_was_finished_is_known_until_the_block_is_forgotten() -> None:
    attempts = Attempts()
    assert attempts.begin(0) == {}
    assert [attempts.start(0, "a.png"), attempts.start(0, "b.png"), attempts.start(0, "b.png")] == [1, 1, 2]
    attempts.finish(0, "a.png", "{}")
    assert attempts.begin(0) == {"a.png": "{}"}
    assert attempts.begin(1) == {}
    attempts.forget(0)
    attempts.forget(1)
    assert attempts.begin(0) == {}
    assert attempts.start(0, "b.png") == 1
