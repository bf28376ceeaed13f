import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from reage.errors import WeightsError
from reage.nets.age import AgeNet, AgeNetConfig, build_age_net, load_age_net
from reage.nets.dlib_resnet import TrunkConfig, load_dlib_resnet
from reage.weights import save_weights

TINY = AgeNetConfig(
    trunk=TrunkConfig(stem=4, stages=((4, 1), (8, 1))), feature_stages=(0, 1), input_crops=((0.8, 48),), dropout=0.0
)


@pytest.fixture
def net() -> AgeNet:
    torch.manual_seed(0)
    return build_age_net(TINY).eval()


@pytest.mark.parametrize("side", [60, 64, 200])
def test_crops_of_any_size_are_taken(net: AgeNet, side: int) -> None:
    crops = torch.rand(2, 3, side, side) * 2 - 1
    logits, masculinity = net(crops)
    assert logits.shape == (2, 101)
    assert masculinity.shape == (2,)
    age, std, share = net.predict(crops)
    assert age.shape == std.shape == share.shape == (2,)
    assert ((age > 0) & (age < 100) & (std > 0) & (share >= 0) & (share <= 1)).all()


def test_an_untrained_net_predicts_the_prior(net: AgeNet) -> None:
    age, std, masculinity = net.predict(torch.zeros(1, 3, 64, 64))
    assert age.item() == pytest.approx(46, abs=1)
    assert std.item() == pytest.approx(22, abs=1)
    assert masculinity.item() == pytest.approx(0.5)


CALIBRATION = ((40.0, 30.0), (50.0, 50.0), (60.0, 65.0))


def test_the_calibration_is_piecewise_linear_within_0_to_100(net: AgeNet) -> None:
    net.config = replace(TINY, calibration=CALIBRATION)
    years, slopes = net.calibrate(torch.tensor([0.0, 35.0, 45.0, 50.0, 56.0, 70.0, 99.0]))
    torch.testing.assert_close(years, torch.tensor([0.0, 20.0, 40.0, 50.0, 59.0, 80.0, 100.0]))
    torch.testing.assert_close(slopes, torch.tensor([2.0, 2.0, 2.0, 2.0, 1.5, 1.5, 1.5]))


def test_the_default_calibration_is_the_identity(net: AgeNet) -> None:
    raw = torch.linspace(0, 100, 11)
    torch.testing.assert_close(net.calibrate(raw), (raw, torch.ones(11)))


def test_gradients_flow_through_the_calibration_to_the_input(net: AgeNet) -> None:
    torch.nn.init.normal_(net.head.weight, std=0.1)
    crops = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    (plain,) = torch.autograd.grad(net.predict(crops)[0].sum(), crops)
    net.config = replace(TINY, calibration=((0.0, -50.0), (100.0, 150.0)))
    (doubled,) = torch.autograd.grad(net.predict(crops)[0].sum(), crops)
    assert plain.abs().sum() > 0
    torch.testing.assert_close(doubled, 2 * plain)


def test_only_the_central_square_matters(net: AgeNet) -> None:
    torch.nn.init.normal_(net.head.weight)
    crops = torch.zeros(1, 3, 100, 100)
    framed = torch.ones(1, 3, 100, 100)
    framed[..., 10:90, 10:90] = 0
    torch.testing.assert_close(net(framed)[0], net(crops)[0])


def test_inference_averages_all_input_crops_and_training_draws_one(net: AgeNet) -> None:
    torch.nn.init.normal_(net.head.weight)
    crops = torch.rand(1, 3, 64, 64) * 2 - 1
    crop_sizes = ((0.6, 40), (0.9, 48))
    logits = []
    for size in crop_sizes:
        net.config = replace(TINY, input_crops=(size,))
        logits.append(net(crops)[0])
    net.config = replace(TINY, input_crops=crop_sizes)
    torch.testing.assert_close(net(crops)[0], (logits[0] + logits[1]) / 2)
    assert net.input_crop(crops, 1).shape == (1, 3, 48, 48)
    net.train()
    taken = torch.cat([net(crops)[0] for _ in range(20)])
    first, second = ((taken - one).abs().amax(1) < 1e-3 for one in logits)
    assert (first ^ second).all()
    assert first.any()
    assert second.any()


def test_a_config_survives_json() -> None:
    config = replace(TINY, calibration=CALIBRATION, input_crops=((0.7, 40), (0.9, 48)))
    assert AgeNetConfig.from_json(json.loads(json.dumps(asdict(config)))) == config


def test_a_saved_net_predicts_the_same(net: AgeNet, tmp_path: Path) -> None:
    torch.nn.init.normal_(net.head.weight, std=0.1)
    save_weights(tmp_path / "age.safetensors", net.state_dict(), {"net": asdict(TINY)}, fp16=False)
    loaded = load_age_net(tmp_path / "age.safetensors")
    crops = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded.predict(crops), net.predict(crops))
    assert not any(weights.requires_grad for weights in loaded.parameters())


def test_other_weights_are_refused(tmp_path: Path, net: AgeNet) -> None:
    save_weights(tmp_path / "other.safetensors", {}, {})
    with pytest.raises(WeightsError, match="not made for an age estimator"):
        load_age_net(tmp_path / "other.safetensors")
    save_weights(tmp_path / "wider.safetensors", net.state_dict(), {"net": asdict(AgeNetConfig())})
    with pytest.raises(WeightsError, match="not made for an age estimator"):
        load_age_net(tmp_path / "wider.safetensors")


def test_it_can_start_from_dlibs_net() -> None:
    trunk = build_age_net(AgeNetConfig(), from_dlib=True).trunk
    torch.testing.assert_close(trunk.state_dict(), load_dlib_resnet().trunk.state_dict())
    with pytest.raises(WeightsError, match="cannot start from it"):
        build_age_net(TINY, from_dlib=True)
