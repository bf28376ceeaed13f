"""How good a latent diffusion base is: its faces, how they obey a caption, whose they are, and its autoencoder.

    python benchmarks/ldm_small.py shards/ --base ldm-small --faces 96
    python benchmarks/ldm_small.py faker/ congress/ sfhq/ --base runs/ldm-small --sheet samples.png

For each of so many held-out people, evenly spaced, a face is generated from noise under a caption of their age in
years; where the base has an identity projection, also with the tokens of their identity. The set of generated faces is
compared with that of the portraits, both shown at the px of the base and in the same place of the crop. Age and
identity are read where the finder finds the face again. The identity tokens are made of dlib's embeddings, so dlib's
distances are no independent judgement of them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from common.markdown import show, to_markdown
from numpy.typing import NDArray

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.shards import Portraits, read_shards
from reage.evaluation.judges import age_features
from reage.evaluation.metrics.distribution import kernel_distance
from reage.faces.common_face import fit_common_face
from reage.faces.finder import FaceFinder
from reage.faces.geometry import FIVE_POINTS, template_points
from reage.faces.patches import FACE, ZONE_PATCHES, cut_patches, cut_squares, patch_from_crop
from reage.images import Image, geometry, save_image
from reage.images.tensors import to_levels, to_net
from reage.measure import AgeEstimator, DlibRecognizer, identity_distance
from reage.nets.age import load_age_net
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.sampling import generate_pictures
from reage.prompts import AGE_LABELS, face_prompt, label_of
from reage.training.diffusion.dataset import PLANE_PX, pick_useful
from reage.types import Pixels, Plane

CROP_PX = 384
MAX_YAW_DEGREES = 35.0
SHEET_COLUMNS = 8
COLUMNS = (
    "caption",
    "face-KID x1000",
    "faces found",
    "r of age",
    "age error, years",
    "age group hit",
    "distance to the person",
    "to others",
)


@dataclass(frozen=True)
class Found:
    """What is read of N generated pictures, NaN where no face was found: ages (N,) and identities (N, 128)."""

    age_years: NDArray[np.float64]
    identities: NDArray[np.float32]


def choose_people(folders: list[Path], num: int) -> Portraits:
    """Held-out portraits, evenly spaced over all that look towards the camera."""
    parts = [read_shards(folder, "val") for folder in folders]
    joined = Portraits(
        **{column.name: np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Portraits)}
    )
    people = pick_useful(with_taught_ages(joined, dict(QUERY_AGES)), MAX_YAW_DEGREES)
    return people.pick(np.linspace(0, len(people) - 1, num).astype(np.intp))


def in_crop(picture: Pixels, landmarks: Plane) -> Pixels:
    """A picture of a whole face (P, P, 3) at its place in a crop (CROP_PX, CROP_PX, 3)."""
    to_crop = geometry.invert(patch_from_crop(FACE, landmarks, CROP_PX, len(picture)))
    return geometry.warp(picture, to_crop, CROP_PX, CROP_PX)


def show_portraits(people: Portraits, picture_px: int) -> Pixels:
    """The faces (N, P, P, 3) of the portraits as the base shows faces."""
    rows = zip(people.crops, people.landmarks, strict=True)
    return np.stack([cut_patches(crop, points, [FACE], picture_px)[0] for crop, points in rows])


def generate(base: DiffusionBase, captions: list[str], identities: Plane | None) -> Pixels:
    """A picture (N, P, P, 3) of each caption; the seed is its number."""
    found = []
    for row, caption in enumerate(captions):
        identity = None if identities is None else identities[row]
        found += list(generate_pictures(base, caption, 1, seed=row, identity=identity))
    return np.stack(found)


def read_pictures(pictures: Pixels, finder: FaceFinder, recognizer: DlibRecognizer, judge: AgeEstimator) -> Found:
    """Ages and identities of generated pictures."""
    ages, identities = np.full(len(pictures), np.nan), np.full((len(pictures), 128), np.nan, np.float32)
    for row, picture in enumerate(pictures):
        if faces := finder.find(picture):
            ages[row] = judge.measure(faces[0]).age_years
            identities[row] = recognizer.embed(faces[0].crop, faces[0].to_crop(faces[0].landmarks))
    return Found(ages, identities)


def judge_pictures(
    pictures: Pixels, real: NDArray[np.float32], people: Portraits, own: Plane, found: Found
) -> list[str]:
    """The cells of a row after its name."""
    points = template_points(FIVE_POINTS, CROP_PX)
    made = age_features(load_age_net("age-b"), np.stack([in_crop(picture, points) for picture in pictures]))
    kid = kernel_distance(real, made)
    seen = ~np.isnan(found.age_years)
    asked, read = people.age_years[seen].astype(float), found.age_years[seen]
    hits = [label_of(max(a, 0.0)) == label_of(max(b, 0.0)) for a, b in zip(asked, read, strict=True)]
    apart = identity_distance(found.identities[seen][:, None], own[None, :])
    same = np.flatnonzero(seen)
    to_own = apart[np.arange(len(same)), same]
    to_others = (apart.sum(1) - to_own) / (len(own) - 1)
    return [
        f"{1000 * kid.mean:.0f} ± {1000 * kid.std:.0f}",
        f"{seen.mean():.0%}",
        f"{np.corrcoef(asked, read)[0, 1]:.2f}",
        f"{np.abs(asked - read).mean():.1f}",
        f"{np.mean(hits):.0%}",
        f"{to_own.mean():.3f}",
        f"{to_others.mean():.3f}",
    ]


@torch.inference_mode()
def judge_autoencoder(base: DiffusionBase, people: Portraits, px: int) -> tuple[float, float]:
    """PSNR in dB of encoded and decoded squares of zones, and of faces."""
    errors = []
    for crop, mesh, points in zip(people.crops, people.mesh, people.landmarks, strict=True):
        plane = geometry.sample(crop, fit_common_face(mesh).straighten(PLANE_PX))
        patches = np.concatenate([cut_squares(plane, ZONE_PATCHES, px), cut_patches(crop, points, [FACE], px)])
        decoded = to_levels(base.decode(base.encode(to_net(patches)))).clip(0, 255)
        errors.append(((decoded - patches) ** 2).mean((1, 2, 3)))
    squared = np.array(errors)
    zones, faces = (float(10 * np.log10(255**2 / part.mean())) for part in (squared[:, :-1], squared[:, -1]))
    return zones, faces


def draw_sheet(pictures: Pixels) -> Pixels:
    """Pictures (N, P, P, 3) in rows of `SHEET_COLUMNS`."""
    full = len(pictures) // SHEET_COLUMNS * SHEET_COLUMNS
    rows = [np.concatenate(list(pictures[start : start + SHEET_COLUMNS]), 1) for start in range(0, full, SHEET_COLUMNS)]
    return np.concatenate(rows)


def main() -> None:
    """Generates and judges."""
    given = read_arguments()
    base = load_base(given.base)
    people = choose_people(given.shards, given.faces)
    recognizer, judge, finder = DlibRecognizer.load(), AgeEstimator.load("age-b"), FaceFinder()
    own = recognizer.embed_crops(people.crops, people.landmarks)
    shown = show_portraits(people, base.picture_px)
    points = template_points(FIVE_POINTS, CROP_PX)
    real = age_features(load_age_net("age-b"), np.stack([in_crop(picture, points) for picture in shown]))
    captions = [face_prompt(age) for age in people.age_years.tolist()]
    rows = []
    conditions = {"age": None} | ({"age and identity": own} if base.identity else {})
    for name, identities in conditions.items():
        pictures = generate(base, captions, identities)
        found = read_pictures(pictures, finder, recognizer, judge)
        rows.append([name, *judge_pictures(pictures, real, people, own, found)])
        print(rows[-1], flush=True)
        if given.sheet:
            path = given.sheet.with_stem(f"{given.sheet.stem}{'' if identities is None else '-identity'}")
            save_image(Image(pixels=draw_sheet(pictures[: given.sheet_faces])), path, altered=False)
    few = people.pick(np.linspace(0, len(people) - 1, min(32, len(people))).astype(np.intp))
    psnr = [
        f"{px} px: zones {a:.1f}, faces {b:.1f} dB"
        for px in given.px or [base.picture_px]
        for a, b in [judge_autoencoder(base, few, px)]
    ]
    groups = ", ".join(
        f"{label} {sum(label_of(age) == label for age in people.age_years.tolist())}" for label in AGE_LABELS
    )
    note = (
        f"{given.base}, {base.picture_px} px: {len(people)} held-out people ({groups}), one picture of each caption "
        f"such as '{captions[0]}'. Face-KID on features of age-b, ages by age-b, distances by dlib, "
        f"of faces that the finder finds. Autoencoder, PSNR of {len(few)} people: {'; '.join(psnr)}. Made by `python "
        "benchmarks/ldm_small.py`."
    )
    show(to_markdown("What a latent diffusion base generates", note, COLUMNS, rows), given.write)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path, nargs="+")
    parser.add_argument("--base", default="ldm-small")
    parser.add_argument("--faces", type=int, default=96)
    parser.add_argument("--px", type=int, action="append", help="side at which the autoencoder is judged")
    parser.add_argument("--sheet", type=Path, help="picture of the first generated faces")
    parser.add_argument("--sheet-faces", type=int, default=32)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
