"""Trains the face parser on labelled photos, with things put in front of and behind the faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, augment
from reage.errors import ImageError
from reage.face_classes import CLASSES
from reage.faces.segmentation import FaceParser, crop_places, make_face_map
from reage.images import geometry
from reage.images.tensors import to_net
from reage.nets.segmentation import SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.logger import log_losses
from reage.training.measures import occlusions
from reage.training.measures.losses import UNLABELLED, dice_loss, segmentation_loss
from reage.training.measures.occlusions import Scene
from reage.training.measures.scenes import LabelledScenes
from reage.training.measures.segmentation_labels import WIDE
from reage.training.runner import RunContext, Weights
from reage.training.trainer import Callback, Trainer, TrainerConfig
from reage.types import Matrix, Pixels


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """How a labelled photo becomes a training picture; probabilities per picture.

    Args:
        hand_labelled_share: share of pictures that show a photo labelled by hand.
        neighbour_prob: that the background is another photo, with its person as a neighbour.
        hat_prob: that the person gets the hat of another photo.
        thing_prob: that a thing in front of another person is put in front of this one.
        mask_prob: that a cloth or surgical mask is put on.
        shape_prob: that a microphone or a thing of random shape is put in front.
        glasses_prob: that glasses are drawn.
        hair_dye_prob: that the hair gets another colour.
        min_scale: least side of the crop in the picture, by the side of the picture: 0.5 shows the whole wide crop.
        max_scale: its largest.
        max_rotation_degrees: largest rotation to either side.
        max_shift: largest shift, sides of the picture.
        mesh_jitter: standard deviation of the place of the mesh, face units.
    """

    hand_labelled_share: float = 0.5
    neighbour_prob: float = 0.5
    hat_prob: float = 0.15
    thing_prob: float = 0.1
    mask_prob: float = 0.06
    shape_prob: float = 0.12
    glasses_prob: float = 0.15
    hair_dye_prob: float = 0.3
    min_scale: float = 0.48
    max_scale: float = 1.1
    max_rotation_degrees: float = 12.0
    max_shift: float = 0.06
    mesh_jitter: float = 0.02


@dataclass(frozen=True, kw_only=True)
class FaceParserTrainingConfig:
    """Everything that determines the weights.

    Args:
        seed: of the run.
        net: architecture.
        trainer: length and optimisation.
        learning_rate: highest learning rate.
        scene: how a labelled photo becomes a training picture.
        class_weights: weight of each class in the cross-entropy.
        dice_weight: weight of the Dice loss, relative to the cross-entropy.
        photometric_augment: random light, colour and camera.
    """

    seed: int = 0
    net: SegmentationNetConfig = SegmentationNetConfig()
    trainer: TrainerConfig = TrainerConfig(steps=7000, batch_size=16, ema_decay=0.998, weight_decay=0.01)
    learning_rate: float = 3e-3
    scene: SceneConfig = SceneConfig()
    class_weights: tuple[float, ...] = (1.0, 1.0, 1.5, 2.5, 3.0, 3.0, 3.0, 2.0, 1.0, 2.0)
    dice_weight: float = 1.0
    photometric_augment: AugmentConfig = AugmentConfig(
        flip_prob=0.0,
        max_rotation_degrees=0.0,
        max_scale=0.0,
        max_shift=0.0,
        grey_prob=0.2,
        max_blur_px=1.5,
        max_downscale=2.5,
        max_jpeg_factor=2.0,
    )


def face_parser() -> FaceParserTrainingConfig:
    """The shipped face parser."""
    return FaceParserTrainingConfig()


def run(config: FaceParserTrainingConfig, labelled: LabelledScenes, context: RunContext) -> Weights:
    """Trains the parser of a recipe; returns its tensors by name and the config of the weights file."""
    net = train_face_parser(config, labelled, context.checkpoint, log_losses(context.log_dir))
    return net.state_dict(), describe(config)


def train_face_parser(
    config: FaceParserTrainingConfig,
    labelled: LabelledScenes,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> SegmentationNet:
    """The face parser.

    Args:
        config: of the run.
        labelled: photos; those of the "val" split are not used.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.

    Raises:
        ImageError: when there are no photos of the "train" split.
    """
    labelled = labelled.pick(labelled.split == "train")
    if not len(labelled):
        raise ImageError("None of these labelled photos is for training; label photos of more people.")
    torch.manual_seed(config.seed)
    net = build_segmentation_net(config.net)
    weights = torch.tensor(config.class_weights)

    def loss_fn(generator: Generator) -> Tensor:
        pictures, face_maps, labels = draw_batch(config, labelled, generator)
        logits = net(pictures, face_maps)
        return segmentation_loss(logits, labels, weights) + config.dice_weight * dice_loss(logits, labels)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(net, loss_fn, [(net, config.learning_rate)])
    assert isinstance(ema, SegmentationNet)
    return ema


def draw_batch(
    config: FaceParserTrainingConfig, labelled: LabelledScenes, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A random batch: pictures (B, 3, S, S), face maps (B, 6, S / 2, S / 2), labels (B, S, S)."""
    random = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    drawn = [draw_picture(config, labelled, random) for _ in range(config.trainer.batch_size)]
    pictures, face_maps, labels = (np.stack(column) for column in zip(*drawn, strict=True))
    augmented = augment(to_net(pictures), config.photometric_augment, generator)
    return augmented, torch.from_numpy(face_maps), torch.from_numpy(labels.astype(np.int64))


def draw_picture(
    config: FaceParserTrainingConfig, labelled: LabelledScenes, random: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32], NDArray[np.int8]]:
    """A picture (S, S, 3), its face map (6, S / 2, S / 2) and its labels (S, S)."""
    scene = draw_scene(config.scene, labelled, random)
    side, px = len(scene.pixels), config.net.input_px
    picture_from_wide = draw_matrix(config.scene, side, px, random)
    pixels = geometry.warp(scene.pixels, picture_from_wide, px, px)
    labels = geometry.warp_labels(scene.labels, picture_from_wide, px, px, UNLABELLED)
    jitter = random.normal(0, config.scene.mesh_jitter * scene.unit_px, 2)
    points = geometry.move_points(scene.mesh + jitter, picture_from_wide)
    places = crop_places(side, WIDE) @ _squared(geometry.invert(picture_from_wide))
    return pixels, make_face_map(points, places, px), labels


def draw_scene(config: SceneConfig, labelled: LabelledScenes, random: np.random.Generator) -> Scene:
    """A labelled photo with things behind, in front and on the person."""

    def happens(probability: float) -> bool:
        return bool(random.random() < probability)

    row = _draw_row(labelled, config.hand_labelled_share, random)
    scene = labelled.scenes[row]
    if happens(config.hair_dye_prob):
        scene = dye_hair(scene, random)
    if happens(config.neighbour_prob):
        scene = occlusions.put_behind(scene, _any(labelled, random), random)
    if not labelled.has_glasses[row] and happens(config.glasses_prob):
        scene = occlusions.put_on_glasses(scene, random)
    for name, probability in (("hat", config.hat_prob), ("other", config.thing_prob)):
        if happens(probability) and (other := _with_class(labelled, name, random)) is not None:
            scene = occlusions.put_on_thing(scene, other, name, random)
    if happens(config.mask_prob):
        scene = occlusions.put_on_mask(scene, random)
    if happens(config.shape_prob):
        scene = occlusions.put_on_shape(scene, _any(labelled, random).pixels, random)
    return scene


def dye_hair(scene: Scene, random: np.random.Generator) -> Scene:
    """The scene with hair of another colour, black to white."""
    share = occlusions.soften(scene.labels == CLASSES.index("hair"), 1.5)[..., None]
    factor = np.exp(random.uniform(-0.8, 1.6) + 0.2 * random.standard_normal(3)).astype(np.float32)
    dyed = np.clip(scene.pixels * factor, 0, 255)
    pixels = (scene.pixels + (dyed - scene.pixels) * share).astype(np.uint8)
    return Scene(pixels, scene.labels, scene.person, scene.mesh)


def draw_matrix(config: SceneConfig, side_px: int, picture_px: int, random: np.random.Generator) -> Matrix:
    """(2, 3) picture_from_wide: random scale, rotation, shift and mirror image."""
    scale = np.exp(random.uniform(np.log(config.min_scale), np.log(config.max_scale))) * WIDE * picture_px / side_px
    angle = random.uniform(-config.max_rotation_degrees, config.max_rotation_degrees)
    shift = random.uniform(-config.max_shift, config.max_shift, 2) * picture_px
    shift = shift + (picture_px - side_px) / 2
    matrix = geometry.similarity_about_centre(side_px, scale=scale, degrees=angle, shift_px=shift)
    if random.random() < 0.5:
        matrix = np.array([[-1, 0, picture_px - 1], [0, 1, 0]]) @ _squared(matrix)
    return matrix


def _squared(matrix: Matrix) -> Matrix:
    return np.vstack([matrix, [0, 0, 1]])


def _draw_row(labelled: LabelledScenes, hand_share: float, random: np.random.Generator) -> int:
    hand = np.flatnonzero(labelled.by_hand)
    automatic = ~labelled.by_hand
    if not automatic.any() or (len(hand) and random.random() < hand_share):
        return int(random.choice(hand))
    name = random.choice(np.unique(labelled.collection[automatic]))
    return int(random.choice(np.flatnonzero(automatic & (labelled.collection == name))))


def _any(labelled: LabelledScenes, random: np.random.Generator) -> Scene:
    return labelled.scenes[int(random.integers(len(labelled.scenes)))]


def _with_class(labelled: LabelledScenes, name: str, random: np.random.Generator) -> Scene | None:
    for row in random.permutation(np.flatnonzero(labelled.by_hand))[:25]:
        if (labelled.scenes[row].labels == CLASSES.index(name)).sum() > 200:
            return labelled.scenes[row]
    return None


def measure_iou(parser: FaceParser, labelled: LabelledScenes) -> dict[str, float]:
    """Intersection over union of each class in the crops of labelled photos, at the resolution of the net.

    Raises:
        ImageError: when there are no photos.
    """
    if not len(labelled):
        raise ImageError("None of these photos was labelled by hand and held out from training; label other photos.")
    common, together = np.zeros((2, len(CLASSES)))
    for scene in labelled.scenes:
        side = len(scene.pixels)
        inside = slice(round(side * (1 - 1 / WIDE) / 2), round(side * (1 + 1 / WIDE) / 2))
        found = parser.measure_shares(scene.pixels[inside, inside], scene.mesh - inside.start).argmax(0)
        labels = scene.labels[inside, inside]
        matrix = geometry.resize_matrix(len(labels), len(found))
        labels = geometry.warp_labels(labels, matrix, len(found), len(found), UNLABELLED)
        known = labels != UNLABELLED
        for index in range(len(CLASSES)):
            common[index] += ((found == index) & (labels == index)).sum()
            together[index] += (((found == index) | (labels == index)) & known).sum()
    return {name: float(common[index] / max(together[index], 1)) for index, name in enumerate(CLASSES)}


def describe(config: FaceParserTrainingConfig) -> dict[str, object]:
    """The config of the weights file: the net, the recipe and its seed."""
    return {"net": asdict(config.net), "recipe": asdict(config), "seed": config.seed}
