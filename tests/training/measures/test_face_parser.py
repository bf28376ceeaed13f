"""Training of the face parser: real nets of tiny size on a few automatically labelled portraits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reage.cli import app
from reage.data.shards import Portrait, Portraits, write_shards
from reage.data.split import split_of
from reage.errors import ReageError
from reage.faces.segmentation import FaceParser
from reage.nets.segmentation import CLASSES, SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.logger import read_curve
from reage.training.measures.face_parser import (
    FaceParserTrainingConfig,
    describe,
    label_portraits,
    make_backgrounds,
    measure_iou,
    replace_background,
    run,
    train_face_parser,
)
from reage.training.measures.losses import segmentation_loss
from reage.training.runner import RunContext
from reage.training.trainer import TrainerConfig
from reage.types import Face, Pixels, Plane
from reage.weights import find_weights, load_torch_weights, save_weights

TINY = FaceParserTrainingConfig(
    net=SegmentationNetConfig(input_px=128, width=8),
    trainer=TrainerConfig(steps=2, batch_size=2, warmup_steps=1, bf16=False),
)
TRAINING, HELD_OUT = (
    [person for number in range(40) if split_of(person := f"P{number}") == split] for split in ("train", "val")
)


@pytest.fixture(scope="module")
def portraits(
    face: Face,
    before_blue: tuple[Pixels, Plane],
    make_portrait: Callable[..., Portrait],
    to_columns: Callable[..., Portraits],
) -> Portraits:
    """Three portraits in front of blue, one of them held out; one in front of another backdrop, and a grey one."""
    blue = before_blue[0]
    grey = np.repeat(blue[..., 1:2], 3, -1)
    darker = (blue * 0.8).astype(np.uint8)
    pictures = ((blue, TRAINING[0]), (darker, TRAINING[1]), (face.crop, TRAINING[2]), (grey, TRAINING[3]))
    rows = [make_portrait(crop, person=person) for crop, person in pictures]
    return to_columns([*rows, make_portrait(blue, person=HELD_OUT[0])])


def weights_of(net: SegmentationNet) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in net.parameters()])


# Training


def test_portraits_without_labels_are_left_out(portraits: Portraits) -> None:
    labelled = label_portraits(portraits)
    assert labelled.crops.shape == (3, 128, 128, 3)
    assert labelled.person.shape == labelled.labels.shape == (3, 128, 128)
    np.testing.assert_array_equal(labelled.labels[0], labelled.labels[2])


def test_portraits_that_cannot_be_labelled_are_refused_in_a_sentence(portraits: Portraits) -> None:
    unlabelled = portraits.pick(np.array([2, 3]))
    with pytest.raises(ReageError, match=r"\.$"):
        train_face_parser(TINY, unlabelled)


def test_the_seed_alone_decides_the_weights(portraits: Portraits) -> None:
    torch.manual_seed(1)
    first = weights_of(train_face_parser(TINY, portraits))
    torch.manual_seed(2)
    assert torch.equal(first, weights_of(train_face_parser(TINY, portraits)))
    assert not torch.equal(first, weights_of(train_face_parser(replace(TINY, seed=1), portraits)))


def test_steps_move_the_weights(portraits: Portraits) -> None:
    one, two = (replace(TINY, trainer=replace(TINY.trainer, steps=steps)) for steps in (1, 2))
    first, second = weights_of(train_face_parser(one, portraits)), weights_of(train_face_parser(two, portraits))
    assert torch.isfinite(second).all()
    assert not torch.equal(first, second)


def test_people_of_the_val_split_are_not_used(portraits: Portraits) -> None:
    whole = train_face_parser(TINY, portraits)
    training = train_face_parser(TINY, portraits.pick(portraits.split == "train"))
    assert torch.equal(weights_of(whole), weights_of(training))


def test_a_run_logs_its_losses(portraits: Portraits, tmp_path: Path) -> None:
    short = replace(TINY, trainer=replace(TINY.trainer, steps=10))
    run(short, portraits, RunContext(checkpoint=tmp_path / "checkpoint", log_dir=tmp_path / "log"))
    found = read_curve(tmp_path / "log")
    assert found["step"] == [10]
    assert np.isfinite(found["loss"]).all()


def test_what_was_trained_is_loaded(portraits: Portraits, face: Face, tmp_path: Path) -> None:
    net = train_face_parser(TINY, portraits)
    save_weights(tmp_path / "parser.safetensors", net.state_dict(), describe(TINY), fp16=False)
    loaded = FaceParser.load(tmp_path / "parser.safetensors").parse(face.crop)
    direct = FaceParser(net).parse(face.crop)
    np.testing.assert_array_equal(loaded.skin, direct.skin)
    np.testing.assert_array_equal(loaded.hair, direct.hair)


# Data


def test_shipped_net_agrees_with_the_labels(portraits: Portraits) -> None:
    tensors, config = load_torch_weights(find_weights("face-parser"))
    net = build_segmentation_net(SegmentationNetConfig(**config["net"]))
    net.load_state_dict(tensors)
    overlaps = measure_iou(net.eval(), label_portraits(portraits))
    assert set(overlaps) == set(CLASSES)
    assert min(overlaps.values()) > 0.75, overlaps


def test_backgrounds_are_replaced() -> None:
    generator = torch.Generator().manual_seed(0)
    crops, backgrounds = torch.ones(64, 3, 8, 8), -torch.ones(64, 3, 8, 8)
    person = torch.zeros(64, 1, 8, 8)
    person[..., :4], person[..., 4] = 1, 0.5
    replaced = replace_background(crops, person, backgrounds, 0.25, generator)
    assert (replaced[..., :4] == 1).all()
    own = (replaced == 1).flatten(1).all(1)
    assert 6 <= own.sum() <= 28
    assert (replaced[~own][..., 5:] == -1).all()
    assert (replaced[~own][..., 4] == 0).all()


def test_backgrounds_differ_and_stay_in_range() -> None:
    crops = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    drawn, again = (make_backgrounds(crops, torch.Generator().manual_seed(2)) for _ in range(2))
    assert drawn.shape == crops.shape
    assert drawn.abs().max() <= 1
    assert torch.equal(drawn, again)
    assert len({round(float(mean), 4) for mean in drawn.mean((1, 2, 3))}) == 16


def test_the_loss_ignores_unlabelled_pixels() -> None:
    torch.manual_seed(0)
    net = build_segmentation_net(TINY.net)
    crops = torch.rand(1, 3, 128, 128) * 2 - 1
    labels = torch.full((1, 128, 128), -1)
    labels[:, :64] = 1
    wrong = labels.clone()
    wrong[:, :64] = 2
    logits = net(crops)
    sure = -logits.log_softmax(1)[:, 1, :64].mean()
    assert torch.isclose(segmentation_loss(logits, labels), sure, atol=1e-5)
    assert not torch.isclose(segmentation_loss(logits, labels), segmentation_loss(logits, wrong))


def test_the_shipped_parser_is_evaluated_on_held_out_people(
    tmp_path: Path, before_blue: tuple[Pixels, Plane], make_portrait: Callable[..., Portrait]
) -> None:
    people = (TRAINING[0], HELD_OUT[0], HELD_OUT[1])
    write_shards([make_portrait(before_blue[0], person=person) for person in people], tmp_path)
    done = CliRunner().invoke(app, ["training", "judge-face-parser", "--shards", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "IoU on 2 portraits" in done.output
    row = next(line for line in done.output.splitlines() if "skin" in line)
    assert 0.7 < float(row.split("│")[2]) <= 1
