"""Does the recognizer `aifd` know people across ages better than dlib's net, and how much age is left in its embedding?

Held-out people only: portraits ten years apart, and portraits aged by an engine to `AGES`. Thresholds come from pairs
of two people of one sex, one in a photo, the other in a photo or an aged picture. The probes are ridge regressions of
the age on what a net makes of a face, each tested on people that it was not fitted on.

    python benchmarks/age_invariance.py shards/ runs/age_invariance
    python benchmarks/age_invariance.py shards/ runs/age_invariance --write benchmarks/age_invariance.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common.markdown import show, to_markdown
from numpy.typing import NDArray
from rich.progress import track

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits, read_shards
from reage.data.split import fold_of
from reage.engines import load_engine
from reage.evaluation.metrics.verification import match_rate, non_match_rate, threshold_at
from reage.evaluation.real_aging import pairs_of
from reage.evaluation.report.measured_faces import figure
from reage.images.tensors import to_net
from reage.measure.recognizers import AifdRecognizer, DlibRecognizer, FaceRecognizer, make_chip
from reage.nets.aifd import Aifd, build_aifd, cpu, load_aifd
from reage.training.distillation import Teacher
from reage.training.runner import load_arrays, save_arrays
from reage.types import Pixels, Plane

AGES = (20.0, 45.0, 75.0)
"""Ages in years of the aged pictures."""
FALSE_MATCH_RATES = (0.001, 0.0001)
REAL = "ten years apart"
OFFICIAL, EVERYBODY = "two official portraits", "a photo and any picture"
"""Sets of impostors; the second has synthetic people, children and aged pictures too, who are harder to distinguish."""
NUM_FOLDS = 10
PENALTIES = 10.0 ** np.arange(-2, 7)
"""Ridge penalties, of standardised features, among which generalised cross-validation chooses."""
BATCH = 64


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Recognition across ages, and the age that an embedding holds.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("folder", type=Path, help="for the aged pictures")
    parser.add_argument("--engine", default="exemplar", help="that ages them; aifd learned from exemplar")
    parser.add_argument("--count", type=int, default=160, help="portraits that are aged")
    parser.add_argument("--aifd", default="aifd", help="name of the weights, or an ONNX file")
    parser.add_argument("--write", type=Path, help="also write the tables to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards, "val")
    faces = open_faces(portraits, given.count, given.engine, given.folder)
    page = verification_page(portraits, faces, given.engine, DlibRecognizer.load(), AifdRecognizer.load(given.aifd))
    show(f"{page}\n{probe_page(portraits, faces, load_aifd(given.aifd))}", given.write)


# Aged pictures


@dataclass(frozen=True, kw_only=True)
class HeldOutFaces:
    """Aligned faces (N,) of held-out people and some of them aged (M,).

    Args:
        photos: (N, 150, 150, 3) of all portraits.
        is_man: (N,) as it is estimated.
        aged: (M, A, 150, 150, 3) at `AGES`.
        rows: (M,) portraits that were aged.
    """

    photos: Pixels
    is_man: NDArray[np.bool_]
    aged: Pixels
    rows: NDArray[np.int64]


def open_faces(portraits: Portraits, count: int, engine: str, folder: Path) -> HeldOutFaces:
    """The faces, made once and then read from the folder."""
    stored = folder / f"held-out-{engine}-{count}.npz"
    if not stored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save_arrays(stored, make_faces(portraits, count, engine))
    return load_arrays(stored, HeldOutFaces)


def make_faces(portraits: Portraits, count: int, engine: str) -> HeldOutFaces:
    """One portrait of each of `count` people, evenly spaced over all, is aged."""
    teacher = Teacher.load(load_engine(engine))
    first = np.unique(portraits.person, return_index=True)[1]
    rows = np.sort(first)[np.linspace(0, len(first) - 1, min(count, len(first))).astype(int)]
    readings = teacher.age_estimator.measure_crops(portraits.crops)
    aged = []
    for row in track(rows.tolist(), "aging"):
        face = portrait_to_face(portraits, row, teacher.parser)
        reading = teacher.read(face)
        aged.append([make_chip(teacher.age(face, reading, age), portraits.landmarks[row]) for age in AGES])
    return HeldOutFaces(
        photos=np.stack([make_chip(*face) for face in zip(portraits.crops, portraits.landmarks, strict=True)]),
        is_man=np.array([reading.masculinity > 0.5 for reading in readings]),
        aged=np.array(aged),
        rows=rows,
    )


# Verification


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Similarities by one recognizer.

    Args:
        impostors: name of a set of impostors -> scores (K,) of two people of one sex.
        genuine: name of a kind of pair -> scores (G,).
    """

    impostors: Mapping[str, NDArray[np.floating]]
    genuine: Mapping[str, NDArray[np.floating]]


def verification_page(
    portraits: Portraits, faces: HeldOutFaces, engine: str, dlib: DlibRecognizer, aifd: AifdRecognizer
) -> str:
    """The table of false non-matches."""
    scores = {one.name: score(portraits, faces, one) for one in (dlib, aifd)}
    known = portraits.with_known_age()
    people = dict.fromkeys(scores["dlib"].genuine, portraits.person[faces.rows])
    people[REAL] = known.person[np.array(pairs_of(known))[:, 0]]
    asked = [(kind, EVERYBODY, rate) for kind in people for rate in FALSE_MATCH_RATES]
    rows = [
        [kind, impostors, f"{rate:.2%}", *compare(scores, people[kind], kind, impostors, rate)]
        for kind, impostors, rate in [(REAL, OFFICIAL, FALSE_MATCH_RATES[0]), *asked]
    ]
    passed = ", ".join(
        f"{match_rate(own, aifd.threshold):.3%} of {name}" for name, own in scores["aifd"].impostors.items()
    )
    counts = ", ".join(f"{len(own)} of {name}" for name, own in scores["dlib"].impostors.items())
    note = (
        f"{len(portraits)} photos of {len(set(portraits.person.tolist()))} held-out people, {len(faces.rows)} of them "
        f"aged by {engine} to {', '.join(f'{age:g}' for age in AGES)} years. FNMR at FMR, with 95 % intervals by "
        f"person. Impostor pairs of one sex: {counts}. At its threshold of {aifd.threshold:g} aifd accepts {passed}, "
        f"and misses {non_match_rate(scores['aifd'].genuine[REAL], aifd.threshold):.1%} of the people ten years apart."
    )
    headers = ("pairs of one person", "impostors", "FMR", "pairs", *(f"FNMR {name}" for name in scores), "fewer missed")
    return to_markdown("Recognition across ages", note, headers, rows)


def compare(
    scores: Mapping[str, Scores], people: NDArray[np.str_], kind: str, impostors: str, rate: float
) -> list[str]:
    """Cells of a row: the number of pairs, the FNMR of each recognizer, and how many fewer the last one misses."""
    missed = [
        (own.genuine[kind] < threshold_at(own.impostors[impostors], rate)).astype(float) for own in scores.values()
    ]
    owners = np.resize(people, len(missed[0]))
    gain = figure(missed[0] - missed[-1], owners, style="+.1%")
    return [str(len(owners)), *(str(figure(one, owners, style=".1%")) for one in missed), str(gain)]


def score(portraits: Portraits, faces: HeldOutFaces, recognizer: DlibRecognizer) -> Scores:
    """The similarities of all pairs."""
    photos, aged = recognizer.embed_chips(faces.photos), embed_all(recognizer, faces.aged)
    known = np.flatnonzero(~np.isnan(portraits.age_years) & (portraits.sex != ""))
    pairs = known[np.array(pairs_of(portraits.pick(known)))]
    own = photos[faces.rows]
    by_age = {f"photo and at {age:g}": recognizer.similarity(own, aged[:, place]) for place, age in enumerate(AGES)}
    genuine = {
        REAL: recognizer.similarity(*photos[pairs.T]),
        **by_age,
        "photo and any of these ages": np.concatenate([*by_age.values()]),
        f"at {AGES[0]:g} and at {AGES[-1]:g}": recognizer.similarity(aged[:, 0], aged[:, -1]),
    }
    return Scores(impostors=score_impostors(portraits, faces, recognizer, photos, aged), genuine=genuine)


def score_impostors(
    portraits: Portraits, faces: HeldOutFaces, recognizer: FaceRecognizer, photos: Plane, aged: Plane
) -> dict[str, NDArray[np.floating]]:
    """Similarities of two people of one sex: of official portraits, and of a photo and any picture."""
    person, official = portraits.person, ~np.isnan(portraits.age_years)
    others = (person[:, None] != person) & (faces.is_man[:, None] == faces.is_man)
    first, second = np.nonzero(np.triu(others, 1))
    two_photos = recognizer.similarity(photos[first], photos[second])
    of_officials = two_photos[official[first] & official[second]]
    first, second = np.nonzero(others[:, faces.rows])
    with_aged = [recognizer.similarity(photos[first], aged[second, place]) for place in range(len(AGES))]
    return {OFFICIAL: of_officials, EVERYBODY: np.concatenate([two_photos, *with_aged])}


def embed_all(recognizer: DlibRecognizer, pictures: Pixels) -> Plane:
    """The embeddings (M, A, D) of (M, A, 150, 150, 3)."""
    flat = recognizer.embed_chips(pictures.reshape(-1, *pictures.shape[2:]))
    return flat.reshape(*pictures.shape[:2], -1)


# Probes


def probe_page(portraits: Portraits, faces: HeldOutFaces, net: Aifd) -> str:
    """The table of the ages that a linear probe reads."""
    taught = with_taught_ages(portraits, dict(QUERY_AGES))
    kept = np.isin(portraits.file, taught.file)
    assert (portraits.file[kept] == taught.file).all()
    before = build_aifd(cpu(), from_dlib=True).eval()
    rows = []
    num_aged = len(faces.rows) * len(AGES)
    sets = {
        "photos": (faces.photos[kept], taught.age_years, taught.person),
        "aged": (
            faces.aged.reshape(num_aged, *faces.aged.shape[2:]),
            np.tile(np.array(AGES), len(faces.rows)),
            np.repeat(portraits.person[faces.rows], len(AGES)),
        ),
    }
    features = {name: features_of(before, net, chips) for name, (chips, _, _) in sets.items()}
    for feature in features["photos"]:
        cells = []
        for name, (_, years, people) in sets.items():
            errors = np.abs(probe(features[name][feature], years, people) - years)
            cells.append(str(figure(errors, people, style=".1f")))
        rows.append([feature, *cells])
    spread = [str(figure(np.abs(np.median(years) - years), people, style=".1f")) for _, years, people in sets.values()]
    rows.append(["nothing (the median age)", *spread])
    errors = np.abs(own_ages(net, faces.photos[kept]) - taught.age_years)
    rows.append(["aifd's own age head, no probe", str(figure(errors, taught.person, style=".1f")), ""])
    note = (
        "Mean absolute error in years of a ridge regression of the age, in ten folds of held-out people: of photos, by "
        "their true age, or else by the age that age-a is taught; of aged pictures, by the age that was asked for. "
        "Before training the embedding is dlib's. 95 % intervals by person. The greater the error, the less age is in "
        "the numbers."
    )
    headers = ("read from", f"photos ({kept.sum()})", f"aged pictures ({num_aged})")
    return to_markdown("Age in the numbers", note, headers, rows)


@torch.inference_mode()
def features_of(before: Aifd, net: Aifd, chips: Pixels) -> dict[str, Plane]:
    """Name -> what the nets make of faces (N, 150, 150, 3): (N, F)."""
    found: dict[str, list[Plane]] = {}
    for start in range(0, len(chips), BATCH):
        x = to_net(chips[start : start + BATCH])
        for when, one in {"before training": before, "after training": net}.items():
            of_identity, of_age = one.decompose(x)
            found.setdefault(f"embedding, {when}", []).append(one.identity(of_identity).numpy())
            found.setdefault(f"X_id, {when}", []).append(of_identity.flatten(1).numpy())
            found.setdefault(f"X_age, {when}", []).append(of_age.flatten(1).numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


@torch.inference_mode()
def own_ages(net: Aifd, chips: Pixels) -> NDArray[np.floating]:
    """Ages (N,) that the encoder itself reads."""
    return np.concatenate([net(to_net(chips[at : at + BATCH]))[1].numpy() for at in range(0, len(chips), BATCH)])


def probe(features: Plane, years: NDArray[np.floating], people: NDArray[np.str_]) -> NDArray[np.floating]:
    """Ages (N,) read from features (N, F) by a ridge regression on the people of the other folds."""
    folds = np.array([fold_of(person, NUM_FOLDS, "probe") for person in people.tolist()])
    read = np.zeros(len(years))
    for fold in range(NUM_FOLDS):
        own = folds == fold
        read[own] = fit_ridge(features[~own], years[~own])(features[own])
    return read


def fit_ridge(features: Plane, years: NDArray[np.floating]) -> Callable[[Plane], NDArray[np.float64]]:
    """The regression with the penalty that generalised cross-validation chooses, as a function of features."""
    mean, scale = features.mean(0), features.std(0) + 1e-6
    left, singular, right = np.linalg.svd((features - mean) / scale, full_matrices=False)
    centre = years.mean()
    projected = left.T @ (years - centre)
    best = (np.inf, right[0])
    for penalty in PENALTIES:
        shrunk = singular**2 / (singular**2 + penalty)
        residual = years - centre - left @ (shrunk * projected)
        score = (residual**2).mean() / (1 - (1 + shrunk.sum()) / len(years)) ** 2
        if score < best[0]:
            best = (score, right.T @ (singular / (singular**2 + penalty) * projected))
    return lambda x: centre + (x - mean) / scale @ best[1]


if __name__ == "__main__":
    main()
