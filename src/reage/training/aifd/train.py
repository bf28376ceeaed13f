"""Trains the age-invariant identity encoder (MTLFace, arXiv 2103.01520) on cross-age pairs.

The paper has millions of photos; here are a few thousand, most of them aged by `exemplar`. So the encoder starts from
dlib's face recognition net, whose embeddings of the photos anchor it, and its deepest layers change slowly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Generator, Tensor, nn

from reage.data.shards import Portraits
from reage.data.split import fold_of
from reage.evaluation.metrics.verification import threshold_at
from reage.images.tensors import to_net
from reage.nets.aifd import AgeHead, Aifd, AifdConfig, build_aifd, calibrate_normalisation, cpu
from reage.training.aifd.dataset import AifdBatch, AifdDataset, AifdDatasetConfig, CrossAgeFaces, make_cross_age_faces
from reage.training.aifd.losses import LossWeights, age_loss, cosface_loss, distillation_loss, reverse_gradient
from reage.training.cross_age import CrossAgeDataset, make_cross_age_dataset
from reage.training.logger import log_losses
from reage.training.runner import RunContext, Weights
from reage.training.trainer import (
    Callback,
    StepLoss,
    Trainer,
    TrainerConfig,
    autocast_bf16,
    local_batch,
    process_state,
    scale_learning_rates,
)

FALSE_MATCH_RATE = 0.001
"""At which the threshold of a match is measured."""
_EMBED_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class AifdTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        left_out_fold: fold of the training people that the net does not see; the threshold is measured on them.
        folds: number of folds.
        net: architecture.
        from_dlib: start from dlib's face recognition net.
        freeze_statistics: the normalisations after the trunk keep the statistics of the photos at the start, instead of
            those of each batch, of which a process sees only its rows.
        trainer: length and optimisation; a batch of `batch_size` pairs has two faces of each person.
        dataset: how batches are drawn.
        losses: weights of the losses.
        trunk_learning_rate: highest learning rate of a layer of the trunk, as a share of the standard deviation of its
            weights.
        identity_learning_rate: the same of the embedding and of the people's centres.
        learning_rate: highest learning rate of the attention, the age heads and the normalisations.
    """

    seed: int = 0
    left_out_fold: int = 0
    folds: int = 8
    net: AifdConfig = field(default_factory=cpu)
    from_dlib: bool = True
    freeze_statistics: bool = True
    trainer: TrainerConfig = TrainerConfig(steps=1200, batch_size=24, weight_decay=0.0, ema_decay=0.99)
    dataset: AifdDatasetConfig = field(default_factory=AifdDatasetConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    trunk_learning_rate: float = 1e-3
    identity_learning_rate: float = 2e-3
    learning_rate: float = 1e-3


def aifd() -> AifdTrainingConfig:
    """The configuration of the shipped weights."""
    return AifdTrainingConfig()


class AifdTraining(nn.Module):
    """The encoder with what only training needs: people's centres, and an age head that X_id has to deceive.

    Args:
        net: the encoder.
        num_people: K.
        freeze_statistics: see `AifdTrainingConfig`.
    """

    def __init__(self, net: Aifd, num_people: int, *, freeze_statistics: bool = False) -> None:
        super().__init__()
        self.net = net
        self._freeze_statistics = freeze_statistics
        self.adversary = AgeHead(net.config)
        self.centres = nn.Linear(net.config.embedding_size, num_people, bias=False)

    def train(self, mode: bool = True) -> AifdTraining:
        """Sets the mode of all parts, but for statistics that are frozen."""
        super().train(mode)
        for part in (self.net.attention, self.net.identity, self.net.age, self.adversary):
            for layer in part.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.train(mode and not self._freeze_statistics)
        return self

    def loss(self, batch: AifdBatch, weights: LossWeights) -> StepLoss:
        """The weighted sum of all losses of a batch."""
        of_identity, of_age = self.net.decompose(batch.x)
        embeddings = self.net.identity(of_identity)
        years, groups = self.net.age(of_age)
        reversed_years, reversed_groups = self.adversary(reverse_gradient(of_identity))
        parts = {
            "identity": cosface_loss(embeddings, self.centres.weight, batch.person),
            "age": age_loss(years, groups, batch.age_years),
            "reversed_age": age_loss(reversed_years, reversed_groups, batch.age_years),
            "distillation": distillation_loss(embeddings, batch.teacher),
        }
        total = sum((getattr(weights, name) * part for name, part in parts.items()), embeddings.new_zeros(()))
        return StepLoss(total, {name: part.detach() for name, part in parts.items()})


def run(config: AifdTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Makes the cross-age set, trains the encoder and measures its threshold.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
    """
    training = portraits.pick(portraits.split == "train")
    cross_age = context.cached(
        ".cross_age.npz",
        CrossAgeDataset,
        lambda: make_cross_age_dataset(training, track=lambda rows: track(rows, "cross-age set")),
    )
    left_out = left_out_rows(config, np.unique(training.person)[cross_age.person])
    faces = make_cross_age_faces(cross_age, config.net.input_px)
    net = train_aifd(config, faces.pick(~left_out), context.checkpoint, log_losses(context.log_dir))
    threshold = measure_threshold(net, faces.pick(left_out))
    return net.state_dict(), describe(config, threshold)


def left_out_rows(config: AifdTrainingConfig, person: NDArray[np.str_]) -> NDArray[np.bool_]:
    """(N,) whether a photo is of the people on whom the threshold is measured, given the ids of the people."""
    folds = np.array([fold_of(one, config.folds, "aifd") for one in person.tolist()], np.int64)
    return folds == config.left_out_fold


def describe(config: AifdTrainingConfig, threshold: float) -> dict[str, object]:
    """What is stored beside the weights: the encoder's config, its threshold, rounded up, the recipe and its seed."""
    rounded = f"{np.ceil(1000 * threshold) / 1000:.3f}"
    return {"net": asdict(config.net), "threshold": rounded, "recipe": asdict(config), "seed": config.seed}


def train_aifd(
    config: AifdTrainingConfig,
    faces: CrossAgeFaces,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Aifd:
    """The encoder, trained on the people of some faces.

    Args:
        config: of the run.
        faces: of at least as many people as a batch has pairs.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.

    Raises:
        WeightsError: when dlib's net is missing, or the net cannot start from it.
    """
    device = process_state().device
    training, teacher = start_training(config, faces)
    dataset = AifdDataset(faces, teacher, config.dataset)

    def loss_fn(generator: Generator) -> StepLoss:
        batch = dataset.sample(config.trainer.batch_size, generator)
        return training.loss(local_batch(batch, device), config.losses)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(training.to(device), loss_fn, parameter_groups(training, config))
    assert isinstance(ema, AifdTraining)
    return ema.net.cpu()


def start_training(config: AifdTrainingConfig, faces: CrossAgeFaces) -> tuple[AifdTraining, Tensor]:
    """The untrained nets, and the teacher's embeddings (N, D) of the photos, which are those of the untrained encoder.

    The centre of a person starts at the mean of the teacher's embeddings of the person's photos.
    """
    torch.manual_seed(config.seed)
    net = build_aifd(config.net, from_dlib=config.from_dlib)
    training = AifdTraining(net, faces.num_people, freeze_statistics=config.freeze_statistics)
    if config.freeze_statistics:
        calibrate_normalisation(net, _to_batches(faces.chips[:, 0]))
        training.adversary.norm.load_state_dict(net.age.norm.state_dict())  # X_id and X_age are alike before training
    teacher = torch.from_numpy(embed_chips(net, faces.chips[:, 0]))
    person = torch.from_numpy(faces.person)
    sums = torch.zeros_like(training.centres.weight).index_add(0, person, F.normalize(teacher))
    training.centres.weight.data.copy_(F.normalize(sums))
    return training, teacher


def parameter_groups(training: AifdTraining, config: AifdTrainingConfig) -> list[tuple[nn.Module, float]]:
    """Parts of the nets with their highest learning rates."""
    net = training.net
    convolutions = [layer for layer in net.trunk.modules() if isinstance(layer, nn.Conv2d)]
    others = [layer for layer in net.trunk.modules() if not isinstance(layer, nn.Conv2d) and not list(layer.children())]
    parts = [*others, net.attention, net.identity.before, net.identity.after, net.age, training.adversary]
    return [
        *scale_learning_rates(convolutions, config.trunk_learning_rate),
        *scale_learning_rates([net.identity.linear, training.centres], config.identity_learning_rate),
        *((part, config.learning_rate) for part in parts if list(part.parameters())),
    ]


# Embeddings


@torch.inference_mode()
def embed_chips(net: Aifd, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeddings (N, D) of faces (N, P, P, 3), each the sum of those of the face and its mirror image, not scaled."""
    net.eval()
    with autocast_bf16(next(net.parameters()).device, False):
        embedded = [net.embed(x) + net.embed(x.flip(3)) for x in _to_batches(chips)]
    return torch.cat(embedded).float().numpy()


def _to_batches(chips: NDArray[np.uint8]) -> Iterator[Tensor]:
    for start in range(0, len(chips), _EMBED_BATCH):
        yield to_net(chips[start : start + _EMBED_BATCH])


def measure_threshold(net: Aifd, faces: CrossAgeFaces) -> float:
    """The cosine that one in a thousand pairs of two people of one sex reach: a photo, and a picture of any age.

    NaN when there are too few people to know it.
    """
    num, num_versions = faces.chips.shape[:2]
    embeddings = embed_chips(net, faces.chips.reshape(-1, *faces.chips.shape[2:])).reshape(num, num_versions, -1)
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    cosines = np.einsum("id,jvd->ijv", unit[:, 0], unit)
    others = (faces.person[:, None] != faces.person) & (faces.is_man[:, None] == faces.is_man)
    others &= np.tri(num, k=-1, dtype=bool)
    return threshold_at(cosines[others].ravel(), FALSE_MATCH_RATE)
