"""What an autoencoder keeps of a face: the same training for several shapes, judged on held-out people.

    python benchmarks/autoencoder.py shards/ ldm-small.crops.npz        the table on the screen
    python benchmarks/autoencoder.py shards/ ldm-small.crops.npz --steps 600 --write benchmarks/autoencoder.md
    python benchmarks/autoencoder.py shards/ --base ldm-small           for a trained base

`ldm-small.crops.npz` is what `reage training fit ldm-small` makes first. Zones are judged where they are in the face:
each one's patches are encoded, decoded and pasted back, and the scores of the face are measured before and after.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common.clocks import timed
from common.markdown import show, to_markdown
from numpy.typing import NDArray
from rich.console import Console

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits, read_shards
from reage.faces.geometry import zone_masks
from reage.faces.patches import FACE, ZONE_PATCHES, cut_patches, paste_patches
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.images.regions import to_pixels
from reage.images.tensors import to_levels, to_net
from reage.nets.diffusion import AutoencoderConfig, DiffusionBase, build_base, load_base, small
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.diffusion.autoencoder import AutoencoderTrainingConfig, train_autoencoder
from reage.training.diffusion.dataset import CropDataset, CropDatasetConfig
from reage.training.runner import load_arrays
from reage.types import Pixels
from reage.zones import ZONES

SHAPES = {
    "1/4, 4 channels": AutoencoderConfig(channels=(32, 64, 64), latent_channels=4),
    "1/4, 4 channels, narrow": AutoencoderConfig(channels=(16, 32, 64), latent_channels=4),
    "1/8, 16 channels": AutoencoderConfig(channels=(32, 64, 64, 64), latent_channels=16),
}
COLUMNS = (
    "autoencoder",
    "M parameters",
    "minutes",
    "zones, PSNR dB",
    "face, PSNR dB",
    "zones-a moved",
    "zones-b moved",
)
NUM_FACES = 48
PICTURE_PX = CropDatasetConfig().picture_px


def build(config: AutoencoderConfig) -> DiffusionBase:
    """An untrained base with such an autoencoder, for pictures of `PICTURE_PX`."""
    sizes = small()
    latent_px = PICTURE_PX >> (len(config.channels) - 1)
    sizes = replace(sizes, autoencoder=config, denoiser=replace(sizes.denoiser, latent_px=latent_px))
    return build_base(sizes, build_tokenizer(all_prompts()))


def train(size: AutoencoderConfig, crops: CropDataset, steps: int) -> DiffusionBase:
    """A base whose autoencoder was trained for so many steps."""
    config, base = AutoencoderTrainingConfig(), build(size)
    trainer = replace(config.trainer, steps=steps, ema_decay=0.99)
    train_autoencoder(replace(config, trainer=trainer), base, crops)
    return base


@torch.inference_mode()
def judge(base: DiffusionBase, portraits: Portraits, num_faces: int) -> list[str]:
    """The measured cells of a row."""
    parser, scorers = FaceParser.load(), [ZoneScorer.load(name) for name in ("zones-a", "zones-b")]
    errors, moved = [], []
    for row in np.linspace(0, len(portraits) - 1, num_faces).astype(int):
        face = portrait_to_face(portraits, row, parser)
        points, names = face.to_crop(face.landmarks), [*ZONE_PATCHES, FACE]
        patches = cut_patches(face.crop, points, names, base.picture_px)
        change = encode_and_decode(base, patches) - patches
        errors.append((change**2).mean((1, 2, 3)))
        pasted = paste_patches(change[:-1], points, ZONE_PATCHES, zone_masks(face), len(face.crop))
        after = replace(face, crop=to_pixels(face.crop + pasted))
        moved.append([gap_between(scorer.measure(face), scorer.measure(after)) for scorer in scorers])
    squared = np.array(errors)
    psnr = [f"{10 * np.log10(255**2 / part.mean()):.1f}" for part in (squared[:, :-1], squared[:, -1])]
    return [
        *psnr,
        *(f"{np.nanmean(np.abs(one)):.3f}, mean {np.nanmean(one):+.3f}" for one in np.moveaxis(np.array(moved), 1, 0)),
    ]


def encode_and_decode(base: DiffusionBase, patches: Pixels) -> NDArray[np.float32]:
    """The decoded latents (K, P, P, 3) of patches, levels."""
    return to_levels(base.decode(base.encode(to_net(patches)))).clip(0, 255)


def gap_between(before: dict[str, float], after: dict[str, float]) -> list[float]:
    """By how much each zone's score has moved."""
    return [after.get(zone, np.nan) - before.get(zone, np.nan) for zone in ZONES]


def main() -> None:
    """Trains and judges."""
    given = read_arguments()
    portraits = read_shards(given.shards, "val")
    rows = []
    if given.base:
        base = load_base(given.base)
        rows.append(
            [given.base, f"{base.num_parameters['autoencoder'] / 1e6:.2f}", "-", *judge(base, portraits, given.faces)]
        )
    else:
        crops = load_arrays(given.crops, CropDataset)
        for name, config in SHAPES.items():
            base, seconds = timed(partial(train, config, crops, given.steps))
            size = f"{base.num_parameters['autoencoder'] / 1e6:.2f}"
            rows.append([name, size, f"{seconds / 60:.1f}", *judge(base, portraits, given.faces)])
            Console(stderr=True).print(rows[-1])
    note = (
        f"{given.faces} held-out portraits; PSNR of encoded and decoded patches of {base.picture_px} px; by how much "
        "the scores of zones moved, mean of the absolute and of the signed change. Made by `python "
        "benchmarks/autoencoder.py`" + (f", {given.steps} steps each." if not given.base else ".")
    )
    show(to_markdown("What an autoencoder keeps of a face", note, COLUMNS, rows), given.write)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("crops", type=Path, nargs="?")
    parser.add_argument("--base")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--faces", type=int, default=NUM_FACES)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
