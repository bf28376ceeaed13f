"""Does each loss of identity-preserving aging keep the person? One photo is learned, another ten years later judges.

Held-out people of whom there are two portraits: the base learns the earlier one, cut out eight times in slightly other
place and light, with one set of losses at a time; draws the person at every age group; and the pictures are judged
against the later portrait, as by `reage evaluate --protocol identity-preserving`. A stopped run goes on where it was.

    python benchmarks/personal_ablation.py shards/ others/ runs/ablation
    python benchmarks/personal_ablation.py shards/ others/ runs/ablation --write benchmarks/personal_ablation.md

`others/` is a set of `reage training regularization`.
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
from reage.measure.recognizers import DlibRecognizer
from reage.nets.diffusion import load_base
from reage.nets.sampling import generate_pictures
from reage.prompts import CLASS_WORD
from reage.training.diffusion.dataset import KINDS, CropDataset, CropDatasetConfig
from reage.training.dreambooth.class_images import read_class_images
from reage.training.dreambooth.person import ClassImages, PersonRequest, choose_recipe, fit_person
from reage.training.dreambooth.subject import SubjectPhotos
from reage.training.dreambooth.train import DreamBoothConfig
from reage.training.runner import DEFAULT_BASE

LOSSES: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "reconstruction": {"identity": "none", "prior_weight": 0.0},
        "and cosine": {"identity": "cosine", "prior_weight": 0.0},
        "and other people": {"identity": "none"},
        "all": {"identity": "cosine"},
    }
)
LABELS = ("youngadults", "middleaged", "elderly", "old")
NUM_SQUARES = 8
LABELLED = 0.25
"""Share of the photos that are called by their age group, too."""
EVERY = 3
"""One in so many of the other people; all of them would be encoded for each person anew."""
WORD = "sks"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What each loss of identity-preserving aging does.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("others", type=Path)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--each", type=int, default=4, help="pictures of a person in an age group")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards, "val")
    pairs = pairs_of(portraits)
    write_photos(portraits, pairs, given.folder / "photos")
    pairs = [pairs[place] for place in np.linspace(0, len(pairs) - 1, given.people).astype(int)]
    squares, captions = read_class_images(given.others, load_base(DEFAULT_BASE).picture_px)
    others = ClassImages(squares=squares[::EVERY], captions=captions[::EVERY])
    judges, rows, note = Judges.load(), [], ""
    headers: Sequence[str] = ()
    for name, losses in LOSSES.items():
        recipe = replace(choose_recipe("default", steps=given.steps, rate=given.rate), labelled=LABELLED, **losses)
        folder = given.folder / name.replace(" ", "-")
        for row, _ in track(pairs, name):
            draw_person(portraits, row, recipe, others, folder, given.each)
        table = judge_generated(read_generated(given.folder / "photos", folder, judges), judges.names["age"])
        rows.append([name, *map(str, table.rows[EVERYTHING])])
        note, headers = table.note, table.headers
        Console(stderr=True).print(*rows[-1], sep=" | ")
    lessons = f"{len(others.captions)} other people, {given.steps} steps at a rate of {given.rate:g} on {DEFAULT_BASE}"
    title = "What each loss of identity-preserving aging does"
    note = f"{lessons}, {LABELLED:.0%} labelled. {note}"
    show(to_markdown(title, note, ("losses", *headers), rows), given.write)


def write_photos(portraits: Portraits, pairs: list[tuple[int, int]], folder: Path) -> None:
    """The later portrait of each person, and of others, who are impostors."""
    for _, later in pairs:
        path = folder / str(portraits.person[later]) / "later.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(Image(pixels=portraits.crops[later]), path, altered=False)


def draw_person(
    portraits: Portraits, row: int, recipe: DreamBoothConfig, others: ClassImages, folder: Path, each: int
) -> None:
    """Learns a portrait, and draws its person in all age groups, unless that was done."""
    place = folder / str(portraits.person[row])
    if len(list(place.glob("*/*.png"))) == each * len(LABELS):
        return
    base = load_base(DEFAULT_BASE)
    order = PersonRequest(word=WORD, class_word=CLASS_WORD, preset="default", recipe=recipe)
    person = fit_person(order, base, photos_of(portraits, row, base.picture_px), others)
    for label in LABELS:
        (place / label).mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(generate_pictures(base, person.prompt(label), each), start=1):
            save_image(Image(pixels=pixels), place / label / f"{number:03}.png")


def photos_of(portraits: Portraits, row: int, picture_px: int) -> SubjectPhotos:
    """The same portrait several times, in slightly other place and light."""
    album = CropDataset(
        crops=portraits.crops[[row]],
        landmarks=portraits.landmarks[[row]].astype(np.float32),
        years=portraits.age_years[[row]].astype(np.float32),
        scores=np.full((1, 12), np.nan, np.float32),
    )
    rows, kinds = torch.zeros(NUM_SQUARES).long(), torch.full((NUM_SQUARES,), KINDS.index(FACE))
    cut = album.cut(rows, kinds, CropDatasetConfig(picture_px=picture_px), Generator().manual_seed(0))
    identity = DlibRecognizer.load().embed(portraits.crops[row], portraits.landmarks[row])
    files = tuple(Path(f"{number}.png") for number in range(NUM_SQUARES))
    years = (float(portraits.age_years[row]),) * NUM_SQUARES
    return SubjectPhotos(from_net(cut.x), files, years, identity, ())


if __name__ == "__main__":
    main()
