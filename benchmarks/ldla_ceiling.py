"""How far the score of a zone can be moved: by the pairs that ldla is trained on, and by what is left of them.

The pairs are training people at the least and the greatest score; of them, only the change in the zones; of that, only
what the autoencoder keeps; and what the engine makes when it is asked for 0 and 1, of all zones and of one.

    python benchmarks/ldla_ceiling.py shards/ --trained ldla.safetensors --write benchmarks/ldla_ceiling.md
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common.markdown import show, to_markdown
from common.zone_responses import scores_of
from rich.progress import track

from reage.composite import composite
from reage.data.faces import portrait_to_face
from reage.data.shards import read_shards
from reage.engines.ldla import LdlaEngine
from reage.faces.geometry import bare_masks
from reage.faces.patches import ZONE_PATCHES, cut_patches, paste_patches
from reage.faces.zone_scorer import ZoneScorer
from reage.images.regions import to_pixels
from reage.images.tensors import to_levels, to_net
from reage.plan import complete
from reage.training.diffusion.train import cached_crop_dataset
from reage.training.ldla.dataset import PairedLatentsConfig, age_crop_dataset
from reage.training.ldla.train import cached_shading, load_teacher
from reage.training.runner import RunContext
from reage.types import Face, Pixels, Plan, Reading
from reage.zones import ZONES

STAGES = ("the pairs", "in the zones", "through the autoencoder", "the engine, all zones", "the engine, one zone")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="How far the score of a zone can be moved.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--faces", type=int, default=8)
    trained = "weights file of a training; crops and shading that it left beside it are used, or made"
    parser.add_argument("--trained", type=Path, default=Path("ldla.safetensors"), help=trained)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards, "train")
    config, context = PairedLatentsConfig(), RunContext(checkpoint=given.trained.with_suffix(".checkpoint"))
    shading = cached_shading(config, portraits, cached_crop_dataset(portraits, context), context)
    portraits = portraits.pick(np.linspace(0, len(portraits) - 1, given.faces).astype(int))
    teacher, engine, judge = load_teacher(), LdlaEngine.load(), ZoneScorer.load("zones-b")
    versions = [age_crop_dataset(portraits, teacher, shading, version, config) for version in config.versions]
    rises: dict[str, list[np.ndarray]] = {stage: [] for stage in STAGES}
    for row in track(range(len(portraits)), "faces"):
        face = portrait_to_face(portraits, row, teacher.parser).in_crop_frame()
        reading = teacher.read(face)
        with torch.inference_mode():
            made = versions_of(face, reading, engine, [crops.crops[row] for crops in versions])
        for stage, (low, high) in made.items():
            rises[stage].append(judged(judge, face, high) - judged(judge, face, low))
    rows = []
    for stage, own in rises.items():
        means = np.nanmean(own, 0)
        rows.append([stage, *(f"{mean:.2f}" for mean in means), f"{means.mean():.2f}"])
    note = (
        f"{given.faces} training portraits; the rise of each zone's score from the younger to the older picture by "
        "`zones-b`. Made by `python benchmarks/ldla_ceiling.py`."
    )
    show(
        to_markdown("How far the score of a zone can be moved", note, ("what is judged", *ZONES, "mean"), rows),
        given.write,
    )


def versions_of(
    face: Face, reading: Reading, engine: LdlaEngine, crops: list[Pixels]
) -> dict[str, tuple[Pixels | list[Pixels], Pixels | list[Pixels]]]:
    """Stage -> the crop at least and greatest score; one for each zone where they are asked for singly."""
    points, masks = face.to_crop(face.landmarks), bare_masks(face)
    patches = [cut_patches(crop, points, ZONE_PATCHES, engine.base.picture_px) for crop in (face.crop, *crops)]
    decoded = [to_levels(engine.base.decode(engine.base.encode(to_net(one)))) for one in patches]

    def put(change: np.ndarray) -> Pixels:
        pasted = paste_patches(change, points, ZONE_PATCHES, masks, len(face.crop))
        return to_pixels(face.crop + pasted.mean(-1, keepdims=True))

    def ask(zone: str, score: float) -> Pixels:
        plan = complete(Plan(zones={zone: score}), reading)
        return composite(face.crop, face, engine.render(face, reading, plan))

    low, high = (put(one.astype(np.float32) - patches[0]) for one in patches[1:])
    decoded_low, decoded_high = (put(one - decoded[0]) for one in decoded[1:])
    singly = [[ask(zone, score) for zone in ZONES] for score in (0.0, 1.0)]
    together = (ask("all", 0.0), ask("all", 1.0))
    pairs = ((crops[0], crops[1]), (low, high), (decoded_low, decoded_high), together, (singly[0], singly[1]))
    return dict(zip(STAGES, pairs, strict=True))


def judged(judge: ZoneScorer, face: Face, made: Pixels | list[Pixels]) -> np.ndarray:
    """(12,) scores of a crop; of several, each zone's in its own."""
    if isinstance(made, list):
        return np.array([scores_of(judge, replace(face, crop=crop))[place] for place, crop in enumerate(made)])
    return np.array(scores_of(judge, replace(face, crop=made)))


if __name__ == "__main__":
    main()
