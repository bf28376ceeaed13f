"""The `deaging` engine beyond the contract of `tests/test_engines.py`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.engines.deaging import DeagingEngine, share_of_way
from reage.errors import WeightsError
from reage.nets.deaging import build_deaging_net
from reage.nets.deaging_config import OLD_MIDDLE, YOUNG_MIDDLE, tiny
from reage.training.export import export
from reage.types import CompletePlan, Face, Reading
from reage.weights import save_weights

YOUNGER = CompletePlan(age=25.0, age_from=65.0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DeagingEngine:
    """A tiny net whose young decoder lightens and whose old one darkens."""
    folder = tmp_path_factory.mktemp("deaging")
    net = build_deaging_net(tiny())
    for decoder, light in ((net.young, 0.1), (net.old, -0.1)):
        torch.nn.init.constant_(decoder.out.bias, light)  # type: ignore[arg-type]
    path = folder / "mine.safetensors"
    save_weights(path, net.state_dict(), {"net": asdict(net.config), "name": "deaging"})
    return DeagingEngine.load(export(path, folder / "mine.onnx"))


def test_each_decoder_changes_the_face_its_way(engine: DeagingEngine, face: Face, reading: Reading) -> None:
    younger = engine.render(face, reading, YOUNGER).gains[0].log_ratio
    older = engine.render(face, reading, CompletePlan(age=68.0, age_from=28.0)).gains[0].log_ratio
    assert younger.min() >= 0 > older.min()
    assert younger.max() > 0.05
    assert np.abs(younger[[0, -1]]).max() == 0


def test_part_of_the_way_is_part_of_the_change(engine: DeagingEngine, face: Face, reading: Reading) -> None:
    whole, half = (
        engine.render(face, reading, replace(YOUNGER, age=age)).gains[0].log_ratio.mean() for age in (25.0, 45.0)
    )
    assert half == pytest.approx(whole / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("from_years", "to_years", "share"),
    [
        (65, 25, -1),
        (65, 45, -0.5),
        (28, 68, 1),
        (30, 25, -0.5),
        (YOUNG_MIDDLE, YOUNG_MIDDLE, 0),
        (OLD_MIDDLE, OLD_MIDDLE, 0),
        (20, 25, 5 / 48),
        (80, 68, -12 / 55),
    ],
)
def test_the_share_of_the_way(from_years: float, to_years: float, share: float) -> None:
    assert share_of_way(from_years, to_years) == pytest.approx(share)


def test_weights_of_another_net_are_refused() -> None:
    with pytest.raises(WeightsError, match="not made for a de-aging net"):
        DeagingEngine.load(Path("src/reage/weights_data/amgan.onnx").resolve())


def test_the_hair_stays(engine: DeagingEngine, face: Face, reading: Reading) -> None:
    covered = replace(face, hair=np.ones_like(face.hair))
    assert (engine.render(covered, reading, YOUNGER).crop == face.crop).all()
