"""The texts of options, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from reage.cli.request import DiffusionOptions, parse_targets
from reage.errors import EngineError, PlanError
from reage.plan_texts import parse_box, parse_faces, parse_sweep, parse_zones


@pytest.mark.parametrize(
    ("text", "ages"),
    [("20:80:30", (20, 50, 80)), ("20:79:30", (20, 50)), ("40:40:5", (40,)), ("20.5:21.5:0.5", (20.5, 21, 21.5))],
)
def test_sweep_ages(text: str, ages: tuple[float, ...]) -> None:
    assert parse_sweep(text) == ages


def test_other_texts() -> None:
    assert parse_faces("2") == parse_faces("2,2") == 2
    assert parse_faces("3, 1") == (1, 3)
    assert parse_zones("forehead=0.2, crows_feet=0.9") == {"forehead": 0.2, "crows_feet": 0.9}
    assert parse_targets("30,20:".rstrip(":")) == (20, 30)


def test_a_box_is_four_numbers() -> None:
    assert parse_box("120,80.5, 260,240") == (120, 80.5, 260, 240)
    assert parse_box("-5,-5,90,1e2") == (-5, -5, 90, 100)
    assert parse_box(None) is None


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,nan", "1,2,inf,4", "1 2 3 4", "1,,3,4"])
def test_anything_else_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(PlanError, match=r"^--box is '.*'; give the left, top, right and bottom .*\d\.$"):
        parse_box(text)


def test_engines_without_diffusion_refuse_its_options_by_their_flags() -> None:
    options = DiffusionOptions(num_inference_steps=4, guidance_scale=0.0, added_noise=0.5)
    with pytest.raises(EngineError, match="'amgan' has no --steps, --guidance-scale, --added-noise;"):
        options.load_engine("amgan", None, "cpu")
    assert DiffusionOptions().load_engine("amgan", None, "cpu") is None


def test_only_personal_takes_a_person() -> None:
    with pytest.raises(EngineError, match="knows no person"):
        DiffusionOptions(person=Path("mia.safetensors")).load_engine("ldla", None, "cpu")
    with pytest.raises(EngineError, match="add --person FILE"):
        DiffusionOptions().load_engine("personal", None, "cpu")
