"""The split into training and validation people, by the hash of a person's id: people are divided, never pictures.

It is the same on every computer and for every recipe, so no net is ever judged on people it was trained on.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["train", "val"]

VAL_SHARE = 0.25


def split_of(person_id: str) -> Split:
    """The side of a person: "val" for a quarter of all people, "train" for the others."""
    return "val" if _fraction(person_id) < VAL_SHARE else "train"


def fold_of(person_id: str, folds: int, salt: str) -> int:
    """One of `folds` groups of people, 0 to folds - 1; another salt groups them independently."""
    assert folds > 0, folds
    return int(_fraction(f"{salt}/{person_id}") * folds)


def _fraction(text: str) -> float:
    """A number in [0, 1) from the hash of a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return (int.from_bytes(digest[:6], "big")) / 2**48
