"""The nets as training sees them, in torch, and as users run them, on ONNX Runtime, say the same of a photo."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession

from reage.engines.amgan import AmganEngine
from reage.engines.exemplar import ExemplarEngine
from reage.faces.zone_scorer import ZoneScorer
from reage.measure import AgeEstimator, DlibRecognizer, identity_distance, measure_face
from reage.nets.age import load_age_net
from reage.nets.amgan import load_generator
from reage.nets.dlib_resnet import load_dlib_resnet
from reage.plan import complete
from reage.types import Face, Plan, Plane


class TorchSession:
    """Runs a function of torch tensors where an `InferenceSession` is expected; inputs come in the order given."""

    def __init__(self, run: Callable[..., tuple[torch.Tensor, ...]], *inputs: tuple[str, int]) -> None:
        self._run = run
        self._inputs = [SimpleNamespace(name=name, shape=(1, 3, px, px)) for name, px in inputs]

    def get_inputs(self) -> list[SimpleNamespace]:
        return self._inputs

    @torch.inference_mode()
    def run(self, names: list[str] | None, inputs: dict[str, Plane]) -> list[Plane]:
        return [found.numpy() for found in self._run(*(torch.from_numpy(x) for x in inputs.values()))]


def as_session(run: Callable[..., tuple[torch.Tensor, ...]], *inputs: tuple[str, int]) -> InferenceSession:
    return cast(InferenceSession, TorchSession(run, *inputs))


@pytest.mark.parametrize("name", ["age-a", "age-b"])
def test_ages_agree_within_a_twentieth_of_a_year(name: str, face: Face) -> None:
    net = load_age_net(name)

    def run(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, masculinity = net.classify(inputs)
        return (*net.interpret(logits, masculinity), net.expected_age(logits))

    crops = net.config.input_crops
    inputs = [(f"crop_{number}", px) for number, (_, px) in enumerate(crops)]
    ours = AgeEstimator(as_session(run, *inputs), [share for share, _ in crops]).measure(face)
    theirs = AgeEstimator.load(name).measure(face)
    assert abs(ours.age_years - theirs.age_years) < 0.05
    assert abs(ours.masculinity - theirs.masculinity) < 0.002


@pytest.mark.parametrize("age", [20.0, 75.0])
def test_pictures_agree_within_one_level(age: float, face: Face) -> None:
    net = load_generator("amgan")
    exported = AmganEngine.load()
    in_torch = AmganEngine(as_session(net.predict_change), net.config, exported.weights_hash, ExemplarEngine.load())
    reading = measure_face(face, AgeEstimator.load(), ZoneScorer.load())
    ours, theirs = (
        engine.render(face, reading, complete(Plan(age=age), reading)).crop.astype(int)
        for engine in (in_torch, exported)
    )
    assert np.abs(theirs - face.crop).max() > 20
    assert np.abs(ours - theirs).max() <= 1


def test_identity_distances_agree_within_two_thousandths(face: Face) -> None:
    net = load_dlib_resnet()
    points = face.to_crop(face.landmarks)
    changed = np.clip(face.crop * 0.8 + 20, 0, 255).astype(np.uint8)[:, ::-1].copy()
    in_torch, exported = (
        identity_distance(*(recognizer.embed(pixels, points) for pixels in (face.crop, changed)))
        for recognizer in (DlibRecognizer(as_session(lambda x: (net(x),), ("chips", 150))), DlibRecognizer.load())
    )
    assert exported > 0.1
    assert abs(in_torch - exported) < 0.002
