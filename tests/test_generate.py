"""New pictures of a person: which ones the gate keeps, the order of its checks, and the files that are written."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.faces.finder import FaceFinder
from reage.generate import Gate, Sample, Verdict, draw_samples, generate, rank_samples
from reage.images import geometry
from reage.measure import AgeEstimator, DlibRecognizer
from reage.nets.dreambooth import load_person
from reage.nets.sampling import FROM_NOISE
from reage.prompts import AGE_LABELS, label_of
from reage.types import Face, Pixels, Plane

QUICK = replace(FROM_NOISE, num_inference_steps=2)


@pytest.fixture(scope="module")
def recognizer() -> DlibRecognizer:
    return DlibRecognizer.load()


@pytest.fixture(scope="module")
def identity(face: Face, recognizer: DlibRecognizer) -> Plane:
    return recognizer.embed(face.crop, face.to_crop(face.landmarks))


@pytest.fixture(scope="module")
def gate(recognizer: DlibRecognizer) -> Gate:
    return Gate(FaceFinder(), recognizer, AgeEstimator.load())


@pytest.fixture(scope="module")
def picture(photo: Pixels) -> Pixels:
    return photo[:256, 96:352].copy()


@pytest.fixture(scope="module")
def label(face: Face) -> str:
    """The group that the demo person looks to be in."""
    return label_of(AgeEstimator.load().measure(face).age_years)


# The gate


def test_the_person_at_the_age_is_kept(gate: Gate, picture: Pixels, identity: Plane, label: str) -> None:
    verdict = gate.judge(picture, identity, label)
    assert verdict.reason == ""
    assert verdict.distance < 0.2
    assert label_of(verdict.age_years) == label
    assert not verdict.quality["blurred"]


def test_the_gate_checks_in_order(gate: Gate, picture: Pixels, identity: Plane, label: str) -> None:
    other = next(name for name in AGE_LABELS if name != label)
    tiny_picture = geometry.resize(picture, 140, 140)
    stranger = identity + 1
    assert gate.judge(np.full((64, 64, 3), 200, np.uint8), stranger, other).reason == "no face"
    assert gate.judge(tiny_picture, stranger, other).reason == "too small"
    assert gate.judge(picture, stranger, other).reason == "another person"
    assert gate.judge(picture, identity, other).reason.startswith("looks ")


def test_what_was_not_measured_is_left_out() -> None:
    assert math.isnan(Verdict(reason="no face").distance)
    summary = Sample(number=7, pixels=np.zeros((8, 8, 3), np.uint8), verdict=Verdict(reason="no face")).to_json()
    assert summary == {"file": "007-no-face.png", "reason": "no face"}


# Samples


def make_samples() -> list[Sample]:
    verdicts = [
        Verdict(reason="no face"),
        Verdict(reason="looks 44", distance=0.1, age_years=44.0),
        Verdict(reason="", distance=0.4, age_years=75.0),
        Verdict(reason="", distance=0.3, age_years=71.0),
    ]
    pixels = np.full((16, 16, 3), 128, np.uint8)
    return [Sample(number=number, pixels=pixels, verdict=one) for number, one in enumerate(verdicts, start=1)]


def test_the_kept_come_first_and_the_nearest_of_them() -> None:
    assert [one.number for one in rank_samples(make_samples())] == [4, 3, 2, 1]
    assert [one.name for one in rank_samples(make_samples())][:3] == ["004.png", "003.png", "002-looks-44.png"]


def test_a_sheet_has_rows_of_both_kinds() -> None:
    samples = rank_samples(make_samples())
    one_row = draw_samples(samples[:2]).shape
    assert draw_samples(samples).shape[0] > 1.7 * one_row[0]
    assert draw_samples(samples * 3).shape[0] > 3.2 * one_row[0]


def test_pictures_are_generated_and_judged(mia: Path, gate: Gate) -> None:
    base, person = load_person(mia)
    first, again, other = (generate(base, person, "old", 3, gate, seed=seed, config=QUICK) for seed in (1, 1, 2))
    assert [one.number for one in first] == [1, 2, 3]
    assert {one.verdict.reason for one in first} == {"no face"}
    assert first[0].pixels.shape == (16, 16, 3)
    assert all((a.pixels == b.pixels).all() for a, b in zip(first, again, strict=True))
    assert (first[0].pixels != other[0].pixels).any()
