"""Each figure against numbers worked out by hand, and the command on real nets of tiny size."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reage.cli import app
from reage.data.shards import Portrait, Portraits, write_shards
from reage.faces.segmentation import Segmentation, guess_segmentation
from reage.measure.age import AgeEstimator
from reage.mesh_points import NUM_POINTS
from reage.nets.age import AgeNetConfig, build_age_net
from reage.nets.dlib_resnet import TrunkConfig
from reage.training.export import export_age_estimator
from reage.training.measures.age_report import (
    MIN_PORTRAITS,
    Figure,
    Readings,
    compare_readings,
    degrade,
    judge_ages,
    judge_readings,
    measure_tones,
    pairs_about_ten_years_apart,
    read_portraits,
)
from reage.types import Face, Pixels, Plane
from reage.weights import save_weights

TINY = AgeNetConfig(
    trunk=TrunkConfig(stem=4, stages=((4, 1), (8, 1))),
    feature_stages=(0, 1),
    input_crops=((0.8, 48),),
    dropout=0.0,
    calibration=((40.0, 30.0), (70.0, 75.0)),
)
SIDE = 64
ToColumns = Callable[[Sequence[Portrait]], Portraits]


def make_portrait(number: int, **other: object) -> Portrait:
    rng = np.random.default_rng(number)
    values = {
        "file": f"{number}.jpg",
        "person": f"P{number}",
        "age_years": 30.0 + number % 50,
        "sex": "MF"[number % 2],
        "year": 2020,
        "split": "val",
        "grey": number % 2 == 0,
        "crop": rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8),
        "landmarks": np.zeros((5, 2), np.float32),
        "mesh": np.zeros((NUM_POINTS, 3), np.float32),
        "image_px_per_crop_px": 1.0,
        "score": 1.0,
        "box": (0.0, 0.0, 63.0, 63.0),
    }
    return Portrait(**{**values, **other})  # type: ignore[arg-type]


def make_readings(years: np.ndarray, **other: np.ndarray) -> Readings:
    values = {"uncalibrated": years, "stds": np.full(len(years), 5.0), "masculinity": np.ones(len(years))}
    return Readings(**{"years": years, "degraded": years, **values, **other})


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    assert len({figure.name for figure in figures}) == len(figures)
    return {figure.name: figure for figure in figures}


@pytest.fixture(scope="module")
def fifty(to_columns: ToColumns) -> Portraits:
    """Fifty people from 30 to 79, one portrait each; men are of even years, and grey."""
    return to_columns([make_portrait(number) for number in range(50)])


def test_errors_and_biases_are_those_of_their_group(fifty: Portraits) -> None:
    ages = fifty.age_years.astype(np.float64)
    readings = make_readings(ages + np.where(ages < 40, 4.0, -1.0), uncalibrated=ages + 2, degraded=ages - 3)
    found = by_name(judge_readings(fifty, readings, np.full(50, np.nan)))
    assert found["mean absolute error"].value == pytest.approx((10 * 4 + 40) / 50)
    assert found["mean absolute error without calibration"].value == pytest.approx(2)
    assert found["bias (reading less true age)"].value == pytest.approx(0)
    assert found["bias at 30-39"].value == found["error at 30-39"].value == pytest.approx(4)
    assert found["bias at 70-79"].value == pytest.approx(-1)
    assert found["error at 70-79"].value == pytest.approx(1)
    assert found["error of men"].num == found["error of grey portraits"].num == 25
    assert found["error on degraded copies"].value == pytest.approx(3)
    assert found["sex right"].value == pytest.approx(0.5)
    low, high = found["mean absolute error"].low, found["mean absolute error"].high
    assert low < found["mean absolute error"].value < high


def test_too_few_portraits_give_no_figure(fifty: Portraits) -> None:
    ages = fifty.age_years.astype(np.float64)
    found = by_name(judge_readings(fifty, make_readings(ages), np.full(50, np.nan)))
    for name in ("bias at 80-89", "error of the darkest third of skin", "one person twice: years read between"):
        assert found[name].num < MIN_PORTRAITS
        assert math.isnan(found[name].value)
        assert found[name].to_json() == {"name": name, "num": found[name].num, "value": None, "low": None, "high": None}


def test_thirds_of_skin_tone_are_separated(fifty: Portraits) -> None:
    ages, tones = fifty.age_years.astype(np.float64), np.arange(60.0, 10.0, -1.0)
    tones[-5:] = np.nan
    found = by_name(judge_readings(fifty, make_readings(ages + np.repeat([2, 1, 0], [15, 15, 20])), tones))
    thirds = [found[f"bias of the {third} third of skin"] for third in ("darkest", "middle", "lightest")]
    assert [one.num for one in thirds] == [15, 15, 15]
    assert [one.value for one in thirds] == pytest.approx([0, 1, 2])


def test_coverage_counts_true_ages_within_the_predicted_std(fifty: Portraits) -> None:
    ages = fifty.age_years.astype(np.float64)
    stds = np.where(np.arange(50) < 30, 4.0, 2.0)
    found = by_name(judge_readings(fifty, make_readings(ages + 3, stds=stds), np.full(50, np.nan)))
    assert found["true age within the stated std (0.68 expected)"].value == pytest.approx(0.6)


def test_pairs_are_of_one_person_about_ten_years_apart(to_columns: ToColumns) -> None:
    ages = {"A": (50, 40), "B": (30, 33), "C": (60,), "D": (41, 45, 52)}
    rows = [
        make_portrait(i, person=person, age_years=float(age))
        for i, (person, age) in enumerate((person, age) for person, own in ages.items() for age in own)
    ]
    np.testing.assert_array_equal(pairs_about_ten_years_apart(to_columns(rows)), [[1, 0], [5, 7]])
    assert pairs_about_ten_years_apart(to_columns(rows[2:4])).shape == (0, 2)


def test_pairs_give_the_predicted_years_between(to_columns: ToColumns) -> None:
    portraits = to_columns(
        [make_portrait(i, person=f"P{i // 2}", age_years=40.0 + 10 * (i % 2)) for i in range(2 * MIN_PORTRAITS)]
    )
    years = np.array([50.0, 57.0] * (MIN_PORTRAITS - 1) + [50.0, 49.0])
    found = by_name(judge_readings(portraits, make_readings(years), np.full(len(years), np.nan)))
    assert found["one person twice: true years between"].value == pytest.approx(10)
    assert found["one person twice: years read between"].value == pytest.approx(
        (7 * (MIN_PORTRAITS - 1) - 1) / MIN_PORTRAITS
    )
    assert found["one person twice: the older is read as older"].value == pytest.approx(
        (MIN_PORTRAITS - 1) / MIN_PORTRAITS
    )


def test_two_readings_are_compared_by_error_and_by_distance(fifty: Portraits) -> None:
    ages, noise = fifty.age_years.astype(np.float64), np.random.default_rng(0).normal(0, 3, 50)
    found = by_name(compare_readings(fifty, make_readings(ages + noise), make_readings(ages - 2 * noise)))
    assert found["correlation of both errors"].value == pytest.approx(-1)
    assert found["mean absolute difference of both readings"].value == pytest.approx(3 * np.abs(noise).mean())
    assert 0 < found["correlation r of both readings"].value < 1


def test_degraded_copies_are_the_same_for_one_seed(fifty: Portraits) -> None:
    first, again, other = degrade(fifty.crops), degrade(fifty.crops), degrade(fifty.crops, seed=1)
    assert first.shape == fifty.crops.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != fifty.crops).any()
    assert (first != other).any()


def export_tiny(head_std: float, folder: Path) -> AgeEstimator:
    """An untrained estimator."""
    torch.manual_seed(0)
    net = build_age_net(TINY)
    torch.nn.init.normal_(net.head.weight, std=head_std)
    save_weights(folder / "age.safetensors", net.state_dict(), {"net": asdict(TINY)})
    return AgeEstimator.load(export_age_estimator(folder / "age.safetensors", folder / "age.onnx"))


def test_readings_are_those_of_the_estimator_with_and_without_calibration(fifty: Portraits, tmp_path: Path) -> None:
    age_estimator = export_tiny(0.05, tmp_path)
    readings = read_portraits(age_estimator, fifty.crops[:3], fifty.crops[3:6])
    assert readings.years.tolist() == [one.age_years for one in age_estimator.measure_crops(fifty.crops[:3])]
    assert readings.degraded.tolist() == [one.age_years for one in age_estimator.measure_crops(fifty.crops[3:6])]
    np.testing.assert_allclose(readings.years, 1.5 * readings.uncalibrated - 30, atol=1e-3)


def test_only_colour_portraits_have_a_skin_tone(face: Face, mesh: Plane, to_columns: ToColumns) -> None:
    dark = (face.crop * 0.7).astype(np.uint8)
    rows = [
        make_portrait(i, crop=crop, landmarks=face.to_crop(face.landmarks), mesh=mesh, grey=grey)
        for i, (crop, grey) in enumerate([(face.crop, False), (dark, False), (face.crop, True)])
    ]
    parsed: list[Plane] = []

    def parse(crop: Pixels, mesh: Plane) -> Segmentation:
        parsed.append(mesh)
        return guess_segmentation(len(crop), face.to_crop(face.landmarks), mesh)

    tones = measure_tones(to_columns(rows), parse, iter)
    np.testing.assert_array_equal(parsed, [mesh, mesh])
    assert math.isnan(tones[2])
    assert -90 < tones[1] < tones[0] < 90


def test_only_held_out_people_are_evaluated(to_columns: ToColumns, tmp_path: Path) -> None:
    portraits = to_columns([make_portrait(i, split="val" if i < 12 else "train", grey=True) for i in range(24)])
    age_estimator = export_tiny(0.1, tmp_path)
    age_estimators = {"one": age_estimator, "other": age_estimator}
    nowhere = np.zeros((5, 2), np.float32)
    figures = judge_ages(
        portraits, age_estimators, lambda crop, mesh: guess_segmentation(len(crop), nowhere, mesh), iter
    )
    assert list(figures) == ["one", "other", "both"]
    assert by_name(figures["one"])["mean absolute error"].num == 12
    assert by_name(figures["both"])["mean absolute difference of both readings"].value == pytest.approx(0, abs=1e-5)


def test_the_command_prints_both_shipped_estimators(tmp_path: Path) -> None:
    write_shards([make_portrait(i, grey=True) for i in range(MIN_PORTRAITS)], tmp_path)
    done = CliRunner().invoke(app, ["training", "judge-ages", "--shards", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found) == ["age-a", "age-b", "both"]
    assert found["age-a"][0]["name"] == "mean absolute error"
    assert found["age-a"][0]["num"] == MIN_PORTRAITS
    table = CliRunner().invoke(app, ["training", "judge-ages", "--shards", str(tmp_path)])
    assert "not resolvable" in table.stdout
