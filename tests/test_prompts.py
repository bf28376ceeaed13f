"""What latent diffusion is asked with."""

from __future__ import annotations

import pytest

from reage.prompts import (
    AGE_LABELS,
    NEUTRAL,
    ZONE_PHRASES,
    all_prompts,
    face_prompt,
    label_of,
    label_prompt,
    person_prompt,
    whole_prompt,
    zone_prompt,
)
from reage.zones import ZONES


def test_zones_are_called_apart() -> None:
    assert tuple(ZONE_PHRASES) == ZONES
    assert len(set(ZONE_PHRASES.values())) == len(ZONES)
    assert "left" in ZONE_PHRASES["crows_feet.left"]
    assert "right" in ZONE_PHRASES["crows_feet.right"]


@pytest.mark.parametrize("prompt", [whole_prompt, zone_prompt])
def test_scores_are_said_as_whole_numbers(prompt: object) -> None:
    assert callable(prompt)
    assert prompt("forehead", 0.734).endswith("wrinkle score 73")
    assert prompt("forehead", 0.0).endswith(" 0")
    assert prompt("forehead", 1.0).endswith(" 100")


@pytest.mark.parametrize(
    ("years", "label"),
    [
        (0, "child"),
        (12.9, "child"),
        (13, "teenager"),
        (20, "youngadults"),
        (55, "middleaged"),
        (69, "elderly"),
        (90, "old"),
    ],
)
def test_every_age_has_its_label(years: float, label: str) -> None:
    assert label_of(years) == label


def test_a_tokenizer_learns_from_everything_that_is_said() -> None:
    known = all_prompts()
    assert len(set(known)) == len(known)
    assert NEUTRAL in known
    assert face_prompt(41.6) == "photo of the face of a 42 year old person"
    assert {face_prompt(7), zone_prompt("upper_lip", 0.5), *map(label_prompt, AGE_LABELS)} <= set(known)


def test_a_person_is_called_by_a_rare_word() -> None:
    assert person_prompt("sks", "person") == "photo of a sks person"
    assert person_prompt("sks", "person", "elderly") == "photo of a sks person as elderly"
