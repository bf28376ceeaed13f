"""Training of the face parser: real nets of tiny size on drawn people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reage.data.augment import AugmentConfig
from reage.errors import ImageError
from reage.face_classes import CLASSES
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.segmentation import FaceParser, crop_places
from reage.images import geometry
from reage.images.tensors import to_net
from reage.nets.segmentation import SegmentationNet, SegmentationNetConfig
from reage.training.export import export_face_parser
from reage.training.logger import read_curve
from reage.training.measures.face_parser import (
    FaceParserTrainingConfig,
    SceneConfig,
    describe,
    draw_batch,
    draw_matrix,
    draw_picture,
    draw_scene,
    dye_hair,
    face_parser,
    measure_iou,
    run,
    train_face_parser,
)
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.occlusions import Scene
from reage.training.measures.scenes import LabelledScenes
from reage.training.measures.segmentation_labels import WIDE
from reage.training.runner import RunContext
from reage.training.trainer import TrainerConfig
from reage.types import Pixels, Plane
from reage.weights import save_weights

SIDE, PX = 128, 64
PLAIN = SceneConfig(
    hand_labelled_share=0.0,
    neighbour_prob=0.0,
    hat_prob=0.0,
    thing_prob=0.0,
    mask_prob=0.0,
    shape_prob=0.0,
    glasses_prob=0.0,
    hair_dye_prob=0.0,
)
STILL = replace(PLAIN, min_scale=1.0, max_scale=1.0, max_rotation_degrees=0.0, max_shift=0.0)
NO_AUGMENT = AugmentConfig(
    flip_prob=0.0,
    max_rotation_degrees=0.0,
    max_scale=0.0,
    max_shift=0.0,
    grey_prob=0.0,
    max_brightness=0.0,
    max_gamma=0.0,
    max_contrast=0.0,
    max_saturation=0.0,
    max_channel_shift=0.0,
    side_light_prob=0.0,
    blur_prob=0.0,
    downscale_prob=0.0,
    jpeg_prob=0.0,
    noise_prob=0.0,
)
TINY = FaceParserTrainingConfig(
    net=SegmentationNetConfig(input_px=PX, widths=(8, 8, 8)),
    trainer=TrainerConfig(steps=3, batch_size=2, warmup_steps=1, bf16=False, checkpoint_seconds=0.0),
)
HAT, GLASSES, HAIR, EYES = (CLASSES.index(name) for name in ("hat", "glasses", "hair", "eyes"))
FACE_CLASSES = ("skin", "facial_hair", "eyes", "mouth")


@pytest.fixture(scope="module")
def labelled(draw_person: Callable[..., Scene]) -> LabelledScenes:
    """Four drawn people, the third with a hat and labelled by hand, the fourth held out."""
    colours = [{}, {"hair": (200, 170, 110)}, {"skin": (110, 75, 55)}, {"clothes": (180, 40, 40)}]
    people = [draw_person(SIDE, seed, **own) for seed, own in enumerate(colours)]
    labels = people[2].labels.copy()
    x, y = np.rint(people[2].mesh[10]).astype(int)
    labels[y - 12 : y + 2, x - 20 : x + 20] = HAT
    people[2] = replace(people[2], labels=labels)
    return LabelledScenes(
        people,
        np.array(["faker", "congress", "congress", "congress"]),
        np.array(["train", "train", "train", "val"]),
        np.array([False, False, True, True]),
        np.zeros(4, bool),
    )


def weights_of(net: SegmentationNet) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in net.state_dict().values()])


def draw_scenes(config: SceneConfig, labelled: LabelledScenes, number: int = 24) -> list[Scene]:
    return [draw_scene(config, labelled, np.random.default_rng(seed)) for seed in range(number)]


# Training


def test_the_seed_alone_decides_the_weights(labelled: LabelledScenes) -> None:
    torch.manual_seed(1)
    first = weights_of(train_face_parser(TINY, labelled))
    torch.manual_seed(2)
    assert torch.equal(first, weights_of(train_face_parser(TINY, labelled)))
    assert not torch.equal(first, weights_of(train_face_parser(replace(TINY, seed=1), labelled)))


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_a_resumed_run_is_the_same_run(stopped_after: int, labelled: LabelledScenes, tmp_path: Path) -> None:
    """With the running statistics of its normalisations."""

    def stop(step: int, losses: object, ema: object) -> None:
        if step == stopped_after + 1:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_face_parser(TINY, labelled, checkpoint, [stop])
    assert checkpoint.is_file()
    resumed = train_face_parser(TINY, labelled, checkpoint)
    assert torch.equal(weights_of(resumed), weights_of(train_face_parser(TINY, labelled)))
    assert not checkpoint.exists()


def test_people_of_the_val_split_are_not_used(labelled: LabelledScenes) -> None:
    training = train_face_parser(TINY, labelled.pick(labelled.split == "train"))
    assert torch.equal(weights_of(train_face_parser(TINY, labelled)), weights_of(training))


def test_a_run_learns_logs_and_describes_itself(labelled: LabelledScenes, tmp_path: Path) -> None:
    trainer = replace(TINY.trainer, steps=30, batch_size=4, ema_decay=0.8)
    config = replace(TINY, trainer=trainer, scene=STILL, photometric_augment=NO_AUGMENT, learning_rate=2e-2)
    tensors, description = run(config, labelled, RunContext(checkpoint=tmp_path / "c", log_dir=tmp_path / "log"))
    losses = read_curve(tmp_path / "log")["loss"]
    assert losses[-1] < 0.75 * losses[0]
    assert description == describe(config)
    assert description["seed"] == 0
    assert description["net"] == {"input_px": PX, "widths": (8, 8, 8)}
    assert description["recipe"]["learning_rate"] == 2e-2
    save_weights(tmp_path / "parser.safetensors", tensors, description)
    parser = FaceParser.load(export_face_parser(tmp_path / "parser.safetensors", tmp_path / "parser.onnx"))
    overlaps = measure_iou(parser, labelled.pick(labelled.split == "val"))
    assert overlaps["background"] > 0.6
    assert overlaps["skin"] > 0.4


def test_the_dice_loss_counts_by_its_weight(labelled: LabelledScenes) -> None:
    without, given = (weights_of(train_face_parser(replace(TINY, dice_weight=own), labelled)) for own in (0.0, 1.0))
    assert torch.equal(given, weights_of(train_face_parser(TINY, labelled)))
    assert not torch.equal(given, without)


def test_without_people_to_learn_from_the_run_is_refused_in_a_sentence(labelled: LabelledScenes) -> None:
    with pytest.raises(ImageError, match=r"is for training; label photos of more people\.$"):
        train_face_parser(TINY, labelled.pick(labelled.split == "val"))


def test_photos_labelled_by_hand_suffice(labelled: LabelledScenes) -> None:
    by_hand = labelled.pick(labelled.by_hand)
    assert torch.isfinite(weights_of(train_face_parser(TINY, by_hand))).all()


def test_the_shipped_recipe_weighs_every_class() -> None:
    config = face_parser()
    assert len(config.class_weights) == len(CLASSES)
    assert config.net == SegmentationNetConfig()
    assert config.photometric_augment.flip_prob == 0
    assert config.photometric_augment.max_rotation_degrees == 0


# Batches


def test_a_batch_has_pictures_maps_and_labels(labelled: LabelledScenes) -> None:
    drawn, again, other = (draw_batch(TINY, labelled, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    pictures, face_maps, labels = drawn
    assert pictures.shape == (2, 3, PX, PX)
    assert face_maps.shape == (2, 6, PX // 2, PX // 2)
    assert labels.shape == (2, PX, PX)
    assert (pictures.dtype, face_maps.dtype, labels.dtype) == (torch.float32, torch.float32, torch.int64)
    assert pictures.abs().max() <= 1
    assert UNLABELLED <= labels.min() <= labels.max() < len(CLASSES)
    assert all(torch.equal(one, two) for one, two in zip(drawn, again, strict=True))
    assert not torch.equal(pictures, other[0])


def test_labels_and_places_follow_the_pixels() -> None:
    """A picture whose levels are its place in the wide crop and its label, moved at random."""
    blocks = np.random.default_rng(0).integers(0, len(CLASSES), (8, 8)).astype(np.int8)
    blocked = np.kron(blocks, np.ones((SIDE // 8, SIDE // 8), np.int8))
    pixels = np.dstack([geometry.pixel_grid(SIDE, SIDE), 20 * blocked]).astype(np.uint8)
    flat = Scene(pixels, blocked, np.full((SIDE, SIDE), 255, np.uint8), np.zeros((478, 2), np.float32))
    one = LabelledScenes([flat], np.array(["faker"]), np.array(["train"]), np.zeros(1, bool), np.zeros(1, bool))
    config = replace(TINY, scene=PLAIN)
    mirrored = set()
    for seed in range(12):
        picture, face_map, labels = draw_picture(config, one, np.random.default_rng(seed))
        known = labels != UNLABELLED
        assert known.mean() > 0.8
        levels = labels.astype(np.float32)
        even = known & (geometry.grow(levels, 2) == geometry.grow(levels, -2))
        even[[0, 1, -2, -1]] = even[:, [0, 1, -2, -1]] = False
        assert even.mean() > 0.2
        np.testing.assert_allclose(picture[even][:, 2], 20 * levels[even], atol=2)
        places = geometry.move_points(picture[..., :2].reshape(-1, 2).astype(np.float32), crop_places(SIDE, WIDE))
        places = places.reshape(PX // 2, 2, PX // 2, 2, 2).mean((1, 3))
        inside = known.reshape(PX // 2, 2, PX // 2, 2).all((1, 3))
        inside[[0, -1]] = inside[:, [0, -1]] = False
        assert np.abs(places - face_map[:2].transpose(1, 2, 0))[inside].max() < 0.05
        mirrored.add(bool(face_map[0, 0, 0] > face_map[0, 0, -1]))
    assert mirrored == {False, True}


def test_the_augmentation_moves_nothing(labelled: LabelledScenes) -> None:
    """It is given pictures whose labels are drawn already."""
    plain = replace(TINY, scene=PLAIN, photometric_augment=NO_AUGMENT)
    changed = replace(plain, photometric_augment=FaceParserTrainingConfig().photometric_augment)
    for seed in range(4):
        before, after = (
            draw_batch(config, labelled, torch.Generator().manual_seed(seed)) for config in (plain, changed)
        )
        assert torch.equal(before[1], after[1])
        assert torch.equal(before[2], after[2])
        assert not torch.equal(before[0], after[0])
        for one, two in zip(before[0], after[0], strict=True):
            lights = torch.stack([picture.mean(0).flatten() for picture in (one, two)])
            assert torch.corrcoef(lights)[0, 1] > 0.7


def test_without_augmentation_the_batch_is_the_pictures(labelled: LabelledScenes) -> None:
    config = replace(TINY, scene=STILL, photometric_augment=NO_AUGMENT)
    pictures, _, _ = draw_batch(config, labelled, torch.Generator().manual_seed(0))
    crops = [scene.pixels[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] for scene in labelled.scenes]
    for picture in pictures:
        nearest = min(
            (picture - to_net(np.stack([own]))[0]).abs().mean() for crop in crops for own in (crop, crop[:, ::-1])
        )
        assert nearest < 0.01


# The map of the face


def test_the_map_of_the_crop_is_that_of_the_parser(labelled: LabelledScenes) -> None:
    """Training and use give the same map to the same pixels."""
    given: dict[str, np.ndarray] = {}

    def take(_: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        given.update(inputs)
        return [np.zeros((1, 10, PX, PX), np.float32)]

    parser = FaceParser(SimpleNamespace(get_inputs=lambda: [SimpleNamespace(shape=[1, 3, PX, PX])], run=take))
    own = labelled.pick(np.array([True, False, False, False]))
    scene, mirrored = own.scenes[0], set()
    crop = np.ascontiguousarray(scene.pixels[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4])
    parser.measure_shares(crop, scene.mesh - SIDE / 4)
    config = replace(TINY, scene=replace(STILL, mesh_jitter=0.0))
    for seed in range(6):
        picture, face_map, _ = draw_picture(config, own, np.random.default_rng(seed))
        flipped = bool(face_map[0, 0, 0] > 0)
        mirrored.add(flipped)
        side = np.s_[..., ::-1] if flipped else np.s_[...]
        np.testing.assert_allclose(face_map[:2][side], given["face_map"][0, :2], atol=1e-6)
        np.testing.assert_allclose(to_net(picture[None])[0].numpy()[side], given["picture"][0], atol=0.02)
        for mask, other in zip(face_map[2:][side], given["face_map"][0, 2:], strict=True):
            assert np.abs(mask - other).sum() < 0.3 * other.sum()  # a pixel may be rounded to either side
    assert mirrored == {False, True}


def test_masks_of_the_map_lie_on_the_labels_wherever_the_picture_went(labelled: LabelledScenes) -> None:
    """The drawn person has eyes and skin exactly where the mesh has them."""
    for seed in range(8):
        config = replace(TINY, net=replace(TINY.net, input_px=128), scene=replace(PLAIN, mesh_jitter=0.0))
        _, face_map, labels = draw_picture(config, labelled.pick(np.arange(4) < 2), np.random.default_rng(seed))
        face, eyes, brows, mouth = (np.repeat(np.repeat(mask, 2, 0), 2, 1) > 0.5 for mask in face_map[2:])
        for mask, name in ((eyes, "eyes"), (brows, "facial_hair"), (mouth, "mouth")):
            found, there = mask & (labels != UNLABELLED), labels == CLASSES.index(name)
            assert (found & there).sum() > 0.5 * (found | there).sum(), name
        assert np.isin(labels[face], [UNLABELLED, *(CLASSES.index(name) for name in FACE_CLASSES)]).mean() > 0.95


def test_the_mesh_jitters_and_the_picture_does_not(labelled: LabelledScenes) -> None:
    """As much as the setting says, in face units, for all points alike; the places stay."""
    own = labelled.pick(np.array([True, False, False, False]))
    centres = {jitter: [] for jitter in (0.0, 0.2)}
    for jitter, found in centres.items():
        config = replace(TINY, scene=replace(STILL, mesh_jitter=jitter))
        for seed in range(40):
            _, face_map, _ = draw_picture(config, own, np.random.default_rng(seed))
            x, y = face_map[:2, face_map[2] > 0.5]
            found.append((x.mean(), y.mean()))
    still, moved = (np.array(found) for found in centres.values())
    assert np.ptp(still, axis=0).max() < 0.02
    np.testing.assert_allclose(moved.std(0) / (2 / FACE_PER_CROP), 0.2, rtol=0.4)


def test_pictures_show_from_the_wide_crop_to_less_than_the_crop() -> None:
    config = SceneConfig()
    matrices = [draw_matrix(config, SIDE, PX, np.random.default_rng(seed)) for seed in range(300)]
    scales = np.array([geometry.scale_of(matrix) for matrix in matrices]) * SIDE / (2 * PX)
    assert config.min_scale <= scales.min() < config.min_scale * 1.05
    assert config.max_scale * 0.95 < scales.max() <= config.max_scale
    centres = np.array([geometry.move_points(np.full((1, 2), (SIDE - 1) / 2), matrix)[0] for matrix in matrices])
    assert np.abs(centres - (PX - 1) / 2).max() <= config.max_shift * PX + 1e-3
    flips = [np.linalg.det(matrix[:, :2]) < 0 for matrix in matrices]
    assert 0.4 < np.mean(flips) < 0.6
    (still,) = {tuple(np.abs(draw_matrix(STILL, SIDE, PX, np.random.default_rng(seed))[0, :2])) for seed in range(4)}
    np.testing.assert_allclose(still, (1, 0), atol=1e-12)


# Scenes


def test_plain_scenes_are_those_that_were_labelled(labelled: LabelledScenes) -> None:
    drawn = draw_scenes(PLAIN, labelled)
    assert all(any(scene is own for own in labelled.scenes[:2]) for scene in drawn)


def test_collections_come_equally_often_and_hand_labelled_photos_as_often_as_set(
    draw_person: Callable[..., Scene],
) -> None:
    scenes = [draw_person(16, seed) for seed in range(12)]
    collection = np.array(["small"] * 2 + ["large"] * 8 + ["hand"] * 2)
    labelled = LabelledScenes(scenes, collection, np.array(["train"] * 12), collection == "hand", np.zeros(12, bool))
    drawn = draw_scenes(replace(PLAIN, hand_labelled_share=0.4), labelled, 400)
    rows = np.array([next(row for row, own in enumerate(scenes) if own is scene) for scene in drawn])
    shares = {name: np.isin(rows, np.flatnonzero(collection == name)).mean() for name in ("small", "large", "hand")}
    assert shares["hand"] == pytest.approx(0.4, abs=0.08)
    assert shares["small"] == pytest.approx(0.3, abs=0.08)
    assert shares["large"] == pytest.approx(0.3, abs=0.08)
    assert len(set(rows.tolist())) == 12


@pytest.mark.parametrize(
    ("setting", "name"),
    [("hat_prob", "hat"), ("mask_prob", "other"), ("shape_prob", "other"), ("glasses_prob", "glasses")],
)
def test_what_is_put_on_is_labelled_when_it_happens(setting: str, name: str, labelled: LabelledScenes) -> None:
    def share(probability: float) -> float:
        scenes = draw_scenes(replace(PLAIN, **{setting: probability}), labelled)
        return float(np.mean([(scene.labels == CLASSES.index(name)).sum() > 20 for scene in scenes]))

    assert share(0.0) == 0
    assert 0.1 < share(0.5) < 0.8
    assert share(1.0) > 0.7


def test_who_wears_glasses_gets_no_second_pair(labelled: LabelledScenes) -> None:
    worn = replace(labelled, has_glasses=np.ones(4, bool))
    assert not any((scene.labels == GLASSES).any() for scene in draw_scenes(replace(PLAIN, glasses_prob=1.0), worn))


def test_without_hats_in_the_photos_none_is_put_on(labelled: LabelledScenes) -> None:
    bare = labelled.pick(np.array([True, True, False, True]))
    assert not any((scene.labels == HAT).any() for scene in draw_scenes(replace(PLAIN, hat_prob=1.0), bare))


def test_neighbours_leave_the_person(labelled: LabelledScenes) -> None:
    plain, crowded = (draw_scenes(replace(PLAIN, neighbour_prob=share), labelled) for share in (0.0, 1.0))
    changed = 0
    for one, two in zip(plain, crowded, strict=True):
        sure = one.person == 255
        np.testing.assert_array_equal(one.pixels[sure], two.pixels[sure])
        changed += (one.pixels != two.pixels).any()
    assert changed == len(plain)


def test_dyed_hair_changes_hair_alone_from_black_to_white(labelled: LabelledScenes) -> None:
    scene = labelled.scenes[1]
    hair = scene.labels == HAIR
    core, far = geometry.grow(hair.astype(np.float32), -3) > 0, geometry.grow(hair.astype(np.float32), 8) == 0
    levels = []
    for seed in range(24):
        dyed = dye_hair(scene, np.random.default_rng(seed))
        np.testing.assert_array_equal(dyed.pixels[far], scene.pixels[far])
        np.testing.assert_array_equal(dyed.labels, scene.labels)
        levels.append(dyed.pixels[core].mean())
    before = scene.pixels[core].mean()
    assert min(levels) < 0.75 * before
    assert max(levels) > 1.4 * before


# Evaluation


def make_parser(find: Callable[[Pixels], Plane]) -> FaceParser:
    """A parser of a session that gives these classes (P, P) for pictures of 64 px."""

    def give(_: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        picture = np.rint((inputs["picture"][0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
        return [np.eye(len(CLASSES), dtype=np.float32)[find(picture)].transpose(2, 0, 1)[None]]

    return FaceParser(SimpleNamespace(get_inputs=lambda: [SimpleNamespace(shape=[1, 3, PX, PX])], run=give))


@pytest.fixture(scope="module")
def coded(draw_person: Callable[..., Scene]) -> LabelledScenes:
    """Two scenes of all classes, whose red level is 20 times the label."""
    scenes = []
    for seed in range(2):
        labels = draw_person(SIDE, seed).labels.copy()
        for index in range(len(CLASSES)):
            labels[SIDE // 4 + 4 * index : SIDE // 4 + 4 * index + 4, SIDE // 4 : SIDE // 4 + 8] = index
        pixels = np.repeat(20 * labels[..., None].astype(np.uint8), 3, -1)
        scenes.append(Scene(pixels, labels, np.zeros((SIDE, SIDE), np.uint8), np.zeros((478, 2), np.float32)))
    return LabelledScenes(scenes, np.array(["faker"] * 2), np.array(["val"] * 2), np.ones(2, bool), np.zeros(2, bool))


def test_perfect_shares_overlap_entirely(coded: LabelledScenes) -> None:
    overlaps = measure_iou(make_parser(lambda picture: picture[..., 0] // 20), coded)
    assert overlaps == dict.fromkeys(CLASSES, 1.0)


def test_the_overlap_is_intersection_over_union(coded: LabelledScenes) -> None:
    """All that is hair is called hat: hair is never found, and hats are a part of what is found."""

    def find(picture: Pixels) -> Plane:
        classes = picture[..., 0] // 20
        return np.where(classes == HAIR, HAT, classes)

    overlaps = measure_iou(make_parser(find), coded)
    crops = np.stack([scene.labels[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] for scene in coded.scenes])
    hats, hairs = (crops == HAT).sum(), (crops == HAIR).sum()
    assert overlaps["hair"] == 0
    assert overlaps["hat"] == pytest.approx(hats / (hats + hairs))
    assert overlaps["skin"] == 1


def test_unlabelled_pixels_and_what_is_outside_the_crop_do_not_count(coded: LabelledScenes) -> None:
    scenes = []
    for scene in coded.scenes:
        labels = scene.labels.copy()
        labels[::2][labels[::2] == HAIR] = UNLABELLED
        labels[: SIDE // 4] = CLASSES.index("other")
        scenes.append(replace(scene, labels=labels))
    overlaps = measure_iou(make_parser(lambda picture: picture[..., 0] // 20), replace(coded, scenes=scenes))
    assert overlaps == dict.fromkeys(CLASSES, 1.0)


def test_without_photos_there_is_no_overlap_but_a_sentence(coded: LabelledScenes) -> None:
    with pytest.raises(ImageError, match=r"held out from training; label other photos\.$"):
        measure_iou(make_parser(lambda picture: picture[..., 0] // 20), coded.pick(np.zeros(2, bool)))


def test_the_parser_is_given_the_mesh_of_each_scene(draw_person: Callable[..., Scene]) -> None:
    """What finds eyes by the map alone finds those of a drawn person, and of no one whose mesh lies elsewhere."""

    def give(_: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        eyes = np.repeat(np.repeat(inputs["face_map"][0, 3] > 0.5, 2, 0), 2, 1)
        return [np.eye(len(CLASSES), dtype=np.float32)[np.where(eyes, EYES, 0)].transpose(2, 0, 1)[None]]

    parser = FaceParser(SimpleNamespace(get_inputs=lambda: [SimpleNamespace(shape=[1, 3, 256, 256])], run=give))
    scene = draw_person(512)
    for shift, least, most in ((0, 0.5, 1.0), (60, 0.0, 0.1)):
        moved = [replace(scene, mesh=scene.mesh + np.float32(shift))]
        one = LabelledScenes(moved, np.array(["faker"]), np.array(["val"]), np.ones(1, bool), np.zeros(1, bool))
        assert least <= measure_iou(parser, one)["eyes"] <= most


def test_labels_are_compared_at_the_resolution_of_the_net(draw_person: Callable[..., Scene]) -> None:
    scene = draw_person(2 * SIDE)
    pixels = np.repeat(20 * scene.labels[..., None].astype(np.uint8), 3, -1)
    large = LabelledScenes(
        [replace(scene, pixels=pixels)], np.array(["faker"]), np.array(["val"]), np.ones(1, bool), np.zeros(1, bool)
    )
    overlaps = measure_iou(make_parser(lambda picture: np.rint(picture[..., 0] / 20).astype(int)), large)
    assert overlaps["background"] > 0.97
    assert overlaps["skin"] > 0.8
