import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.data.shards import Portrait, Portraits, read_shards, write_shards
from reage.data.split import fold_of, split_of
from reage.errors import WeightsError
from reage.nets.age import AgeNetConfig, build_age_net, load_age_net
from reage.nets.dlib_resnet import TrunkConfig
from reage.training.logger import read_curve
from reage.training.measures.age_estimator import (
    AgeTrainingConfig,
    CurveConfig,
    age_a,
    age_b,
    correct_bias,
    fit_curve,
    left_out_rows,
    read_ages,
    sampling_weights,
    share_between,
    train_age_estimator,
    train_weights,
)
from reage.training.recipes import RECIPES, train
from reage.training.trainer import TrainerConfig, learning_rate_share
from reage.weights import find_weights, load_weights, save_weights

SIDE = 64
TINY_NET = AgeNetConfig(
    trunk=TrunkConfig(stem=8, stages=((8, 1), (16, 1))), stages_read=(0, 1), looks=((0.8, 48),), dropout=0.0
)
TINY = AgeTrainingConfig(
    seed=0,
    left_out_fold=1,
    crop_px=SIDE,
    net=TINY_NET,
    from_dlib=False,
    trunk_rate=0.02,
    head_rate=0.02,
    schedule=TrainerConfig(steps=60, batch=8, half=False, checkpoint_seconds=0.0),
)


def make_portrait(number: int) -> Portrait:
    """A picture whose stripes are finer the older its person is."""
    rng = np.random.default_rng(number)
    person, age = f"P{number:03d}", float(rng.uniform(20, 85))
    wave = 90 * np.sin(np.arange(SIDE) * (0.2 + age / 40))[:, None] + rng.normal(0, 5, (SIDE, SIDE))
    crop = np.repeat((wave + 128).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Portrait(
        file=f"{number}.jpg",
        person=person,
        age_years=age,
        sex="MF"[number % 2],
        year=2020,
        split=split_of(person),
        grey=True,
        crop=crop,
        landmarks=np.zeros((5, 2), np.float32),
        dense_landmarks=np.zeros((68, 2), np.float32),
        image_px_per_crop_px=1.0,
        score=1.0,
        box=(0.0, 0.0, 63.0, 63.0),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_shards((make_portrait(number) for number in range(120)), folder)
    return folder


@pytest.fixture(scope="module")
def portraits(folder: Path) -> Portraits:
    return read_shards(folder)


def test_training_learns_to_read_people_it_never_saw(portraits: Portraits) -> None:
    net = train_age_estimator(TINY, portraits)
    held_out = portraits.pick(portraits.split == "val")
    assert np.corrcoef(read_ages(net, held_out.crops), held_out.age_years)[0, 1] > 0.5
    assert [raw for raw, _ in net.config.curve] == list(TINY.curve.knots)
    assert not net.training


def test_a_run_that_was_stopped_is_the_same_run(portraits: Portraits, tmp_path: Path) -> None:
    recipe = replace(TINY, schedule=replace(TINY.schedule, steps=6))
    whole = train_age_estimator(recipe, portraits)
    checkpoint = tmp_path / "run" / "age.checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reage.training.trainer._update", _stop_after(3))
        with pytest.raises(KeyboardInterrupt):
            train_age_estimator(recipe, portraits, checkpoint)
    assert checkpoint.is_file()
    resumed = train_age_estimator(recipe, portraits, checkpoint)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    assert not checkpoint.exists()


def _stop_after(num_steps: int):  # type: ignore[no-untyped-def]
    from reage.training import loop

    update = loop._update

    def interrupted(*arguments) -> float:  # type: ignore[no-untyped-def]
        if arguments[4] == num_steps:
            raise KeyboardInterrupt
        return update(*arguments)

    return interrupted


def test_a_checkpoint_of_another_run_is_refused(portraits: Portraits, tmp_path: Path) -> None:
    torch.save({"step": 1, "net": {}, "mean": {}, "optimiser": {}}, tmp_path / "other")
    with pytest.raises(WeightsError, match="belongs to another run"):
        train_age_estimator(TINY, portraits, tmp_path / "other")
    (tmp_path / "other").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="belongs to another run"):
        train_age_estimator(TINY, portraits, tmp_path / "other")


def test_left_out_people_are_of_the_training_side_and_of_one_fold(portraits: Portraits) -> None:
    rows = left_out_rows(TINY, portraits)
    assert rows.any()
    assert set(portraits.split[rows]) == {"train"}
    assert {fold_of(person, TINY.folds, "age") for person in portraits.person[rows].tolist()} == {1}


def test_rare_ages_are_drawn_more_often() -> None:
    ages = np.array([55.0] * 99 + [25.0], np.float32)
    weights = sampling_weights(ages, 0.5)
    assert weights.sum() == pytest.approx(1)
    assert weights[-1] / weights[0] == pytest.approx((100 / 2) ** 0.5)
    np.testing.assert_allclose(sampling_weights(ages, 0.0), 0.01)


def regressed(slope: float, noise_years: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Readings that regress to 57 years, and true ages from 30 to 79."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(30, 80, 2000)
    return 57 + slope * (ages - 57) + rng.normal(0, noise_years, 2000), ages


def bias_of(raw: np.ndarray, ages: np.ndarray, config: CurveConfig, decade: int) -> float:
    knots, years = np.array(fit_curve(raw, ages, config)).T
    own = ages // 10 == decade // 10
    return float((share_between(raw, knots) @ years - ages)[own].mean())


def test_the_curve_undoes_a_regression_without_noise() -> None:
    raw, ages = regressed(0.6)
    knots, years = np.array(fit_curve(raw, ages, CurveConfig(bend_weight=0.0))).T
    np.testing.assert_allclose(share_between(raw, knots) @ years, ages, atol=1e-6)


def test_the_heavier_the_bias_the_smaller_it_gets() -> None:
    raw, ages = regressed(0.7, 6.0)
    free = CurveConfig(bias_weight=0.0, young_bias_weight=0.0)
    bound = replace(free, young_bias_weight=16.0)
    assert bias_of(raw, ages, free, 30) > 2
    assert abs(bias_of(raw, ages, bound, 30)) < 0.5
    assert bias_of(raw, ages, free, 70) < -2
    assert abs(bias_of(raw, ages, replace(bound, bias_weight=16.0), 70)) < 1


def test_the_curve_always_rises() -> None:
    raw, ages = regressed(-0.7)
    assert (np.diff([years for _, years in fit_curve(raw, ages, CurveConfig())]) > 0).all()


def test_shares_of_knots_rebuild_the_place_even_outside() -> None:
    knots, raw = np.array([40.0, 50.0, 70.0]), np.array([30.0, 40.0, 45.0, 60.0, 80.0])
    shares = share_between(raw, knots)
    np.testing.assert_allclose(shares.sum(1), 1)
    np.testing.assert_allclose(shares @ knots, raw)
    assert ((shares != 0).sum(1) <= 2).all()


def test_the_fitted_curve_is_what_the_net_reads_with(portraits: Portraits) -> None:
    net = build_age_net(TINY_NET).eval()
    torch.nn.init.normal_(net.head.weight, std=0.3)
    raw = read_ages(net, portraits.crops)
    net = correct_bias(net, portraits, CurveConfig(knots=(50.0, 60.0), bend_weight=0.0))
    knots, years = np.array(net.config.curve).T
    expected = np.clip(share_between(raw, knots) @ years, 0, 100)
    np.testing.assert_allclose(read_ages(net, portraits.crops), expected, atol=0.5)
    again = correct_bias(net, portraits, CurveConfig(knots=(50.0, 60.0), bend_weight=0.0))
    np.testing.assert_allclose(np.array(again.config.curve)[:, 1], years, rtol=1e-9)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    schedule = TrainerConfig(steps=100, batch=1, warmup_steps=10)
    shares = [learning_rate_share(step, schedule) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) > 0.95
    assert shares[-1] < 0.001


def test_weights_say_how_they_came_about(portraits: Portraits, tmp_path: Path) -> None:
    recipe = replace(TINY, schedule=replace(TINY.schedule, steps=2))
    tensors, config = train_weights(recipe, portraits, tmp_path / "checkpoint")
    save_weights(tmp_path / "age.safetensors", tensors, config)
    stored = load_weights(tmp_path / "age.safetensors")[1]
    assert stored["recipe"] == json.loads(json.dumps(asdict(recipe)))
    assert stored["seed"] == 0
    assert load_age_net(tmp_path / "age.safetensors").config.trunk == TINY_NET.trunk


@pytest.mark.parametrize("name", ["age-a", "age-b"])
def test_a_run_keeps_its_losses_in_its_journal(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(TINY, schedule=replace(TINY.schedule, steps=25))
    monkeypatch.setattr(f"reage.training.age_estimator.{name.replace('-', '_')}", lambda: short)
    train(name, folder, tmp_path / "mine.safetensors", tmp_path / "journal")
    found = read_curve(tmp_path / "journal")
    assert found["step"] == [10, 20]
    assert np.isfinite(found["loss"]).all()


@pytest.mark.parametrize(("name", "recipe"), [("age-a", age_a()), ("age-b", age_b())])
def test_shipped_weights_were_made_by_todays_recipe(name: str, recipe: AgeTrainingConfig) -> None:
    assert name in RECIPES
    assert load_weights(find_weights(name))[1]["recipe"] == json.loads(json.dumps(asdict(recipe)))


def test_both_recipes_leave_out_other_people_and_read_other_stages() -> None:
    a, b = age_a(), age_b()
    assert a.seed != b.seed
    assert a.folds == b.folds
    assert a.left_out_fold != b.left_out_fold
    assert a.net.stages_read != b.net.stages_read
