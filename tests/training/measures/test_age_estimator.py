import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.data.ages import with_taught_ages
from reage.data.shards import Portrait, Portraits, read_shards, write_shards
from reage.data.split import fold_of, split_of
from reage.errors import WeightsError
from reage.mesh_points import NUM_POINTS
from reage.nets.age import AgeNet, AgeNetConfig, build_age_net, load_age_net
from reage.nets.dlib_resnet import TrunkConfig
from reage.training.logger import read_curve
from reage.training.measures.age_estimator import (
    AgeTrainingConfig,
    CalibrationConfig,
    age_a,
    age_b,
    age_net_loss,
    calibrate_net,
    encode_sex,
    fit_calibration,
    held_out_rows,
    interpolation_weights,
    predict_ages,
    run,
    sampling_weights,
    train_age_estimator,
)
from reage.training.recipes import RECIPES, find_recipe
from reage.training.runner import RunContext
from reage.training.trainer import Callback, TrainerConfig, lr_scale
from reage.weights import find_weights, load_torch_weights, load_weights, save_weights

SIDE = 64
TINY_NET = AgeNetConfig(
    trunk=TrunkConfig(stem=8, stages=((8, 1), (16, 1))), feature_stages=(0, 1), input_crops=((0.8, 48),), dropout=0.0
)
TINY = AgeTrainingConfig(
    seed=0,
    left_out_fold=1,
    crop_px=SIDE,
    net=TINY_NET,
    from_dlib=False,
    trunk_learning_rate=0.02,
    head_learning_rate=0.02,
    trainer=TrainerConfig(steps=60, batch_size=8, bf16=False, checkpoint_seconds=0.0),
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
        mesh=np.zeros((NUM_POINTS, 3), np.float32),
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


def test_training_generalises_to_held_out_people(portraits: Portraits) -> None:
    net = train_age_estimator(TINY, portraits)
    held_out = portraits.pick(portraits.split == "val")
    assert np.corrcoef(predict_ages(net, held_out.crops)[0], held_out.age_years)[0, 1] > 0.5
    assert [raw for raw, _ in net.config.calibration] == list(TINY.calibration.knots)
    assert not net.training


def test_a_run_that_was_stopped_is_the_same_run(portraits: Portraits, tmp_path: Path) -> None:
    config = replace(TINY, trainer=replace(TINY.trainer, steps=6))
    whole = train_age_estimator(config, portraits)
    checkpoint = tmp_path / "run" / "age.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_age_estimator(config, portraits, checkpoint, [stop_after(4)])
    assert checkpoint.is_file()
    resumed = train_age_estimator(config, portraits, checkpoint)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    assert not checkpoint.exists()


def stop_after(num_steps: int) -> Callback:
    """Interrupts a run at the end of a step, before its checkpoint is written."""

    def callback(step: int, losses: Mapping[str, float], ema: torch.nn.Module) -> None:
        if step == num_steps:
            raise KeyboardInterrupt

    return callback


def test_a_checkpoint_of_another_run_is_refused(portraits: Portraits, tmp_path: Path) -> None:
    torch.save({"step": 1, "net": {}, "ema": {}, "optimizer": {}}, tmp_path / "other")
    with pytest.raises(WeightsError, match="belongs to another run"):
        train_age_estimator(TINY, portraits, tmp_path / "other")
    (tmp_path / "other").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="belongs to another run"):
        train_age_estimator(TINY, portraits, tmp_path / "other")


@pytest.fixture
def net() -> AgeNet:
    torch.manual_seed(0)
    return build_age_net(TINY_NET).eval()


def test_the_loss_is_least_for_the_truth(net: AgeNet) -> None:
    torch.nn.init.normal_(net.head.weight, std=0.5)
    crops = torch.rand(1, 3, 64, 64) * 2 - 1
    expected = net.expected_age(net(crops)[0])
    is_man = (net(crops)[1] > 0).float()
    truth = age_net_loss(net, crops, expected, is_man)
    assert truth < age_net_loss(net, crops, expected + 20, is_man)
    assert truth < age_net_loss(net, crops, expected, 1 - is_man)


def test_a_few_steps_lower_the_loss_and_reach_the_input(net: AgeNet) -> None:
    crops = (torch.rand(4, 3, 64, 64) * 2 - 1).requires_grad_()
    ages, men = torch.tensor([25.0, 40.0, 60.0, 80.0]), torch.tensor([0.0, 1.0, 0.0, 1.0])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = age_net_loss(net, crops, ages, men)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    assert crops.grad is not None
    assert crops.grad.abs().sum() > 0


def test_held_out_people_are_of_the_training_split_and_of_one_fold(portraits: Portraits) -> None:
    rows = held_out_rows(TINY, portraits)
    assert rows.any()
    assert set(portraits.split[rows]) == {"train"}
    assert {fold_of(person, TINY.folds, "age") for person in portraits.person[rows].tolist()} == {1}


def test_a_true_age_is_taught_before_a_prompted_and_a_predicted_one(portraits: Portraits) -> None:
    few = portraits.pick(np.arange(6))
    nan = np.nan
    few = replace(
        few,
        age_years=np.array([70, nan, nan, nan, nan, nan], np.float32),
        age_prompted_years=np.array([20, 20, nan, 50, nan, nan], np.float32),
        age_predicted_years=np.array([30, 30, 30, nan, 9, nan], np.float32),
        query=np.array(["", "", "hat", "", "toddler", ""]),
        file=np.array(list("abcdef")),
    )
    taught = with_taught_ages(few, {"toddler": 2.5})
    assert dict(zip(taught.file.tolist(), taught.age_years.tolist(), strict=True)) == {
        "a": 70, "b": 25, "c": 30, "d": 50, "e": 2.5
    }  # fmt: skip


def test_an_unknown_sex_teaches_nothing(net: AgeNet) -> None:
    assert np.array_equal(encode_sex(np.array(["M", "F", ""])), [1, 0, np.nan], equal_nan=True)
    crops, ages = torch.rand(3, 3, 64, 64), torch.full((3,), 40.0)
    torch.nn.init.normal_(net.head.weight, std=0.5)
    losses = [
        age_net_loss(net, crops[:count], ages[:count], torch.tensor([1.0, 0.0, torch.nan])[:count]) for count in (2, 3)
    ]
    assert all(loss.isfinite() for loss in losses)
    assert age_net_loss(net, crops[2:], ages[2:], torch.tensor([torch.nan])).isfinite()


def test_rare_ages_are_sampled_more_often() -> None:
    ages = np.array([55.0] * 99 + [25.0], np.float32)
    weights = sampling_weights(ages, 0.5)
    assert weights.sum() == pytest.approx(1)
    assert weights[-1] / weights[0] == pytest.approx((100 / 2) ** 0.5)
    np.testing.assert_allclose(sampling_weights(ages, 0.0), 0.01)


def regressed(slope: float, noise_years: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Expected ages that regress to 57 years, and true ages from 30 to 79."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(30, 80, 2000)
    return 57 + slope * (ages - 57) + rng.normal(0, noise_years, 2000), ages


def bias_of(raw: np.ndarray, ages: np.ndarray, config: CalibrationConfig, decade: int) -> float:
    knots, years = np.array(fit_calibration(raw, ages, config)).T
    own = ages // 10 == decade // 10
    return float((interpolation_weights(raw, knots) @ years - ages)[own].mean())


def test_the_calibration_undoes_a_regression_without_noise() -> None:
    raw, ages = regressed(0.6)
    knots, years = np.array(fit_calibration(raw, ages, CalibrationConfig(bend_weight=0.0))).T
    np.testing.assert_allclose(interpolation_weights(raw, knots) @ years, ages, atol=1e-6)


def test_a_larger_bias_weight_lowers_the_bias() -> None:
    raw, ages = regressed(0.7, 6.0)
    free = CalibrationConfig(bias_weight=0.0)
    bound = replace(free, bias_weight=16.0)
    for decade in (30, 70):
        assert abs(bias_of(raw, ages, free, decade)) > 2
        assert abs(bias_of(raw, ages, bound, decade)) < 1


def test_the_calibration_always_rises() -> None:
    raw, ages = regressed(-0.7)
    assert (np.diff([years for _, years in fit_calibration(raw, ages, CalibrationConfig())]) > 0).all()


def test_interpolation_weights_rebuild_the_values_even_outside() -> None:
    knots, raw = np.array([40.0, 50.0, 70.0]), np.array([30.0, 40.0, 45.0, 60.0, 80.0])
    shares = interpolation_weights(raw, knots)
    np.testing.assert_allclose(shares.sum(1), 1)
    np.testing.assert_allclose(shares @ knots, raw)
    assert ((shares != 0).sum(1) <= 2).all()


def test_the_net_predicts_with_the_fitted_calibration(portraits: Portraits) -> None:
    net = build_age_net(TINY_NET).eval()
    torch.nn.init.normal_(net.head.weight, std=0.3)
    raw, _ = predict_ages(net, portraits.crops)
    net = calibrate_net(net, portraits, CalibrationConfig(knots=(50.0, 60.0), bend_weight=0.0))
    knots, years = np.array(net.config.calibration).T
    expected = np.clip(interpolation_weights(raw, knots) @ years, 0, 100)
    calibrated, stds = predict_ages(net, portraits.crops)
    np.testing.assert_allclose(calibrated, expected, atol=0.5)
    errors = np.abs(calibrated - portraits.age_years)
    assert (errors <= stds).mean() == pytest.approx(0.68, abs=0.02)
    again = calibrate_net(net, portraits, CalibrationConfig(knots=(50.0, 60.0), bend_weight=0.0))
    np.testing.assert_allclose(np.array(again.config.calibration)[:, 1], years, rtol=1e-9)


def test_the_learning_rate_rises_then_falls_to_0() -> None:
    trainer = TrainerConfig(steps=100, batch_size=1, warmup_steps=10)
    shares = [lr_scale(step, trainer) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) > 0.95
    assert shares[-1] < 0.001


def test_weights_hold_the_config_of_their_run(portraits: Portraits, tmp_path: Path) -> None:
    config = replace(TINY, trainer=replace(TINY.trainer, steps=2))
    tensors, description = run(config, portraits, RunContext(checkpoint=tmp_path / "checkpoint"))
    save_weights(tmp_path / "age.safetensors", tensors, description)
    stored = load_weights(tmp_path / "age.safetensors")[1]
    assert stored["recipe"] == json.loads(json.dumps(asdict(config)))
    assert stored["seed"] == 0
    assert load_age_net(tmp_path / "age.safetensors").config.trunk == TINY_NET.trunk


@pytest.mark.parametrize("name", ["age-a", "age-b"])
def test_a_run_logs_its_losses(name: str, portraits: Portraits, tmp_path: Path) -> None:
    short = replace(TINY, trainer=replace(TINY.trainer, steps=25))
    context = RunContext(checkpoint=tmp_path / "checkpoint", log_dir=tmp_path / "log")
    find_recipe(name).load_run()(short, portraits, context)
    found = read_curve(tmp_path / "log")
    assert found["step"] == [10, 20]
    assert np.isfinite(found["loss"]).all()


@pytest.mark.parametrize(("name", "config"), [("age-a", age_a()), ("age-b", age_b())])
def test_shipped_weights_were_made_by_the_recipe_of_their_name(name: str, config: AgeTrainingConfig) -> None:
    assert RECIPES[name].load_config() == config
    assert load_torch_weights(find_weights(name))[1]["recipe"] == json.loads(json.dumps(asdict(config)))


def test_both_recipes_hold_out_different_people_and_use_different_stages() -> None:
    a, b = age_a(), age_b()
    assert a.seed != b.seed
    assert a.folds == b.folds
    assert a.left_out_fold != b.left_out_fold
    assert a.net.feature_stages != b.net.feature_stages
