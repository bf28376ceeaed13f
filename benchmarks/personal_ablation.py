"""What each loss of identity-preserving aging does: one photo of a person is learned, one ten years later is compared.

For held-out people with two portraits: the base learns the earlier portrait, in eight augmented crops, with one set of
losses at a time; it generates pictures of the person in every age group; and the pictures are compared with the later
portrait, as by `reage evaluate --protocol identity-preserving`. A stopped run resumes.

    python benchmarks/personal_ablation.py shards/ class-images/ runs/ablation
    python benchmarks/personal_ablation.py shards/ class-images/ runs/ablation --write benchmarks/personal_ablation.md

`class-images/` is a set of `reage training class-images`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from common.markdown import show, to_markdown
from rich.console import Console
from rich.progress import track
from torch import Generator

from reage.data.shards import Portraits, read_shards
from reage.evaluation.identity_protocol import EVERYTHING, judge_generated, read_generated
from reage.evaluation.judges import Judges
from reage.evaluation.real_aging import pairs_of
from reage.faces.patches import FACE
from reage.images import Image, save_image
from reage.images.tensors import from_net
from reage.measure import DlibRecognizer
from reage.nets.diffusion import load_base
from reage.nets.sampling import generate_pictures
from reage.prompts import CLASS_WORD
from reage.training.diffusion.dataset import CROP_KINDS, CropDataset, CropDatasetConfig, unroll_crops
from reage.training.dreambooth.class_images import ClassImages, read_class_images
from reage.training.dreambooth.dataset import SubjectPhotos
from reage.training.dreambooth.person import PersonRequest, choose_config, fit_person
from reage.training.dreambooth.train import DreamBoothConfig
from reage.training.runner import DEFAULT_BASE

LOSSES: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "reconstruction": {"identity_loss": "none", "prior_loss_weight": 0.0},
        "and cosine": {"identity_loss": "cosine", "prior_loss_weight": 0.0},
        "and class images": {"identity_loss": "none"},
        "all": {"identity_loss": "cosine"},
    }
)
LABELS = ("youngadults", "middleaged", "elderly", "old")
NUM_CROPS = 8
LABEL_SHARE = 0.25
"""Share of the captions that also name the age group."""
CLASS_IMAGE_STEP = 3
"""One in this many of the class images is used, because they are encoded anew for each person."""
TOKEN = "sks"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of identity-preserving aging does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("class_images", type=Path)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--each", type=int, default=4, help="pictures of a person in an age group")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards, "val").with_known_age()
    pairs = pairs_of(portraits)
    write_photos(portraits, pairs, given.folder / "photos")
    pairs = [pairs[place] for place in np.linspace(0, len(pairs) - 1, given.people).astype(int)]
    every = read_class_images(given.class_images, load_base(DEFAULT_BASE).picture_px)
    class_images = ClassImages(images=every.images[::CLASS_IMAGE_STEP], captions=every.captions[::CLASS_IMAGE_STEP])
    default = choose_config("default", steps=given.steps, learning_rate=given.learning_rate)
    judges, rows, note = Judges.load(), [], ""
    headers: Sequence[str] = ()
    for name, losses in LOSSES.items():
        config = replace(default, label_share=LABEL_SHARE, **losses)
        folder = given.folder / name.replace(" ", "-")
        for row, _ in track(pairs, name):
            generate_person(portraits, row, config, class_images, folder, given.each)
        table = judge_generated(read_generated(given.folder / "photos", folder, judges), judges.names["age"])
        rows.append([name, *map(str, table.rows[EVERYTHING])])
        note, headers = table.note, table.headers
        Console(stderr=True).print(*rows[-1], sep=" | ")
    run = f"{given.steps} steps at a learning rate of {given.learning_rate:g} on {DEFAULT_BASE}"
    note = f"{len(class_images.captions)} class images, {run}, {LABEL_SHARE:.0%} of the captions with a label. {note}"
    show(to_markdown("What each loss of identity-preserving aging does", note, ("losses", *headers), rows), given.write)


def write_photos(portraits: Portraits, pairs: list[tuple[int, int]], folder: Path) -> None:
    """Writes the later portrait of everybody; those of other people are impostors."""
    for _, later in pairs:
        path = folder / str(portraits.person[later]) / "later.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(Image(pixels=portraits.crops[later]), path, altered=False)


def generate_person(
    portraits: Portraits, row: int, config: DreamBoothConfig, class_images: ClassImages, folder: Path, each: int
) -> None:
    """Learns the person of a portrait and generates pictures in all age groups, unless they are there already."""
    place = folder / str(portraits.person[row])
    if len(list(place.glob("*/*.png"))) == each * len(LABELS):
        return
    base = load_base(DEFAULT_BASE)
    request = PersonRequest(token=TOKEN, class_word=CLASS_WORD, preset="default", config=config)
    person = fit_person(request, base, augment_portrait(portraits, row, base.picture_px), class_images)
    for label in LABELS:
        (place / label).mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(generate_pictures(base, person.prompt(label), each), start=1):
            save_image(Image(pixels=pixels), place / label / f"{number:03}.png")


def augment_portrait(portraits: Portraits, row: int, picture_px: int) -> SubjectPhotos:
    """Several augmented crops of one portrait."""
    dataset = CropDataset(
        crops=portraits.crops[[row]],
        planes=unroll_crops(portraits.crops[[row]], portraits.mesh[[row]]),
        landmarks=portraits.landmarks[[row]].astype(np.float32),
        age_years=portraits.age_years[[row]].astype(np.float32),
        scores=np.full((1, 12), np.nan, np.float32),
    )
    rows, kinds = torch.zeros(NUM_CROPS).long(), torch.full((NUM_CROPS,), CROP_KINDS.index(FACE))
    batch = dataset.cut(rows, kinds, CropDatasetConfig(picture_px=picture_px), Generator().manual_seed(0))
    identity = DlibRecognizer.load().embed(portraits.crops[row], portraits.landmarks[row])
    files = tuple(Path(f"{number}.png") for number in range(NUM_CROPS))
    age_years = (float(portraits.age_years[row]),) * NUM_CROPS
    return SubjectPhotos(from_net(batch.x), files, age_years, identity, ())


if __name__ == "__main__":
    main()
