"""Judges sketches: how near a net's drawings are to those it learned from, and whether a sketch finds its person.

The pairs are artists' where they are given, and drawn by rules (`reage.faces.drawn_sketch`) otherwise; the two must
never be compared. A probe goes the way of a user's: its card is searched for a face first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from reage.data.shards import Portraits
from reage.data.sketch_sets import SketchPair
from reage.errors import FaceNotFound
from reage.evaluation.judges import age_features
from reage.evaluation.metrics.distribution import Inception, frechet_distance, kernel_distance
from reage.evaluation.metrics.identification import find_ranks, match_characteristic, true_accept_rate
from reage.evaluation.metrics.image_similarity import peak_signal_to_noise_ratio, structural_similarity
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.evaluation.real_aging import pairs_of
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.drawn_sketch import STYLES, Drafting, draw_portrait
from reage.faces.finder import FaceFinder
from reage.faces.segmentation import FaceParser
from reage.images import geometry, load_image
from reage.matching import MODES, Matcher
from reage.nets.age import load_age_net
from reage.nets.pix2pix_config import SKETCH_PX
from reage.sketch import SCALE, Sketcher, make_card
from reage.types import Pixels, Plane

DRAWN, ARTIST = "drawn by rules", "artist"
PROPORTION_ERROR = 0.02
"""Of drawn probes, face units: that of a viewed sketch."""
NUM_SPLITS = 5
RANKS, FALSE_ACCEPT_RATES = (1, 5, 10), (0.01, 0.001)
_MATCH_HEADERS = (
    "found",
    *(f"rank {rank}" for rank in RANKS),
    *(f"TAR at FAR {rate:g}" for rate in FALSE_ACCEPT_RATES),
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A person to judge: an aligned photo and sketches of it.

    Args:
        person: id.
        photo: (512, 512, 3) aligned as `Face.crop`.
        landmarks: (5, 2) px of it.
        mesh: (478, 3) px of it.
        references: style -> (256, 256, 3) what the net should draw, in the frame of the photo.
        probes: style -> picture in which a sketch of the person is searched for.
    """

    person: str
    photo: Pixels
    landmarks: Plane
    mesh: Plane
    references: Mapping[str, Pixels]
    probes: Mapping[str, Pixels]


def draw_subjects(
    portraits: Portraits,
    parser: FaceParser,
    count: int,
    styles: Sequence[str] = STYLES,
    proportion_error: float = PROPORTION_ERROR,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> list[Subject]:
    """One portrait each of at most so many people, evenly spaced over all, drawn by rules.

    Args:
        portraits: of held-out people.
        parser: of faces.
        count: people at most.
        styles: to draw.
        proportion_error: of the probes, see `Drafting`.
        track: passes rows on, and may show progress.
    """
    first = np.sort(np.unique(portraits.person, return_index=True)[1])
    rows = first[np.linspace(0, len(first) - 1, min(count, len(first))).astype(int)]
    return [draw_subject(portraits, row, parser, styles, proportion_error) for row in track(rows.tolist())]


def draw_other_photos(
    portraits: Portraits,
    parser: FaceParser,
    strangers: int,
    styles: Sequence[str] = STYLES,
    proportion_error: float = PROPORTION_ERROR,
    track: Callable[[Sequence[tuple[int, int]]], Iterable[tuple[int, int]]] = iter,
) -> list[Subject]:
    """Everybody with several photos: probes drawn by rules of the latest, in the gallery the earliest; then strangers.

    Args:
        portraits: of held-out people.
        parser: of faces.
        strangers: other people at most, evenly spaced over all, who are only in the gallery.
        styles: to draw.
        proportion_error: of the probes, see `Drafting`.
        track: passes pairs of rows on, and may show progress.
    """
    known = np.flatnonzero(~np.isnan(portraits.age_years))
    pairs = [(int(known[a]), int(known[b])) for a, b in pairs_of(portraits.pick(known))]
    subjects = []
    for earlier, later in track(pairs):
        probe = draw_subject(portraits, later, parser, styles, proportion_error)
        photo = draw_subject(portraits, earlier, parser, (), 0.0)
        subjects.append(replace(photo, references=probe.references, probes=probe.probes))
    first = np.sort(np.unique(portraits.person, return_index=True)[1])
    people = {subject.person for subject in subjects}
    others = [row for row in first.tolist() if str(portraits.person[row]) not in people]
    rows = [others[place] for place in np.linspace(0, len(others) - 1, min(strangers, len(others))).astype(int)]
    return subjects + [draw_subject(portraits, row, parser, (), 0.0) for row in rows]


def draw_subject(
    portraits: Portraits, row: int, parser: FaceParser, styles: Sequence[str], proportion_error: float
) -> Subject:
    """One portrait, drawn by rules."""
    crop, side = portraits.crops[row], portraits.crops.shape[1]
    small = geometry.resize(crop, SKETCH_PX, SKETCH_PX)
    mesh = geometry.move_points(portraits.mesh[row], geometry.resize_matrix(side, SKETCH_PX))

    def draw(style: str, error: float) -> Pixels:
        drafting = Drafting(style=style, proportion_error=error, seed=row)
        return np.repeat(draw_portrait(small, mesh, parser, drafting)[..., None], 3, -1)

    photo_px = SCALE * SKETCH_PX
    return Subject(
        person=str(portraits.person[row]),
        photo=geometry.resize(crop, photo_px, photo_px),
        landmarks=geometry.move_points(portraits.landmarks[row], geometry.resize_matrix(side, photo_px)),
        mesh=geometry.move_points(portraits.mesh[row], geometry.resize_matrix(side, photo_px)),
        references={style: draw(style, 0.0) for style in styles},
        probes={style: _to_probe(draw(style, proportion_error)) for style in styles},
    )


def read_subjects(
    pairs: Sequence[SketchPair],
    finder: FaceFinder,
    track: Callable[[Sequence[SketchPair]], Iterable[SketchPair]] = iter,
) -> list[Subject]:
    """Artists' pairs; a sketch is brought into the frame of its photo by its own landmarks.

    Raises:
        FaceNotFound: when no pair shows a face twice.
    """
    subjects = []
    for pair in track(pairs):
        sketch = load_image(pair.sketch).pixels
        faces = [finder.find(pixels)[:1] for pixels in (load_image(pair.photo).pixels, sketch)]
        if not all(faces):
            continue
        photo, drawn = (found[0] for found in faces)
        subjects.append(
            Subject(
                person=pair.name,
                photo=photo.crop,
                landmarks=photo.to_crop(photo.landmarks),
                mesh=photo.to_crop(photo.mesh),
                references={ARTIST: geometry.resize(drawn.crop, SKETCH_PX, SKETCH_PX)},
                probes={ARTIST: sketch},
            )
        )
    if not subjects:
        raise FaceNotFound(f"In none of the {len(pairs)} pairs a face was found in both pictures; give portraits.")
    return subjects


# Pictures


def judge_drawings(subjects: Sequence[Subject], sketcher: Sketcher, inception: Inception | None = None) -> Table:
    """SSIM, PSNR, KID and FID of the net's drawings beside the references, and of the photos themselves, in grey."""
    net = load_age_net("age-b")
    headers = ("SSIM", "PSNR, dB", "KID x 1000", *(("FID", "KID x 1000, Inception") if inception else ()))
    rows: dict[str, Sequence[Cell]] = {}
    for style in subjects[0].references:
        references = np.stack([subject.references[style] for subject in subjects])
        drawn = {
            f"{style}, net": [sketcher.draw(one.photo, _style_of(style), scale=1, mesh=one.mesh) for one in subjects],
            f"{style}, photo in grey": [_to_grey(one.photo) for one in subjects],
        }
        for name, pictures in drawn.items():
            rows[name] = _compare(np.stack(pictures), references, [one.person for one in subjects], net, inception)
    return Table(
        name="drawings",
        title=f"Drawings of {len(subjects)} held-out photos",
        headers=headers,
        rows=rows,
        corner=_describe_references(subjects),
        note="Grey, 256 px, range 1. KID and FID: drawings of every second person beside references of the others; KID "
        "of features of the age estimator, unless Inception is named. "
        "Brackets: 95 % over people. Numbers on drawn and on artists' pairs must not be compared.",
    )


def _compare(
    pictures: Pixels, references: Pixels, people: Sequence[str], net: object, inception: Inception | None
) -> list[Cell]:
    similar = np.array([structural_similarity(a[..., 0], b[..., 0]) for a, b in zip(pictures, references, strict=True)])
    noise = np.array(
        [peak_signal_to_noise_ratio(a[..., 0], b[..., 0]) for a, b in zip(pictures, references, strict=True)]
    )
    apart = references[::2], pictures[1::2]  # of the same people, a kernel distance would be far below 0
    features = [age_features(net, some) for some in apart]  # type: ignore[arg-type]
    cells: list[Cell] = [
        _figure(similar, people, ".3f"),
        _figure(noise, people, ".2f"),
        Figure(value=1000 * kernel_distance(*features).mean, num=len(people), style=".1f"),
    ]
    if inception is not None:
        found = [inception.features(some) for some in apart]
        cells += [
            Figure(value=frechet_distance(*found), num=len(people), style=".1f"),
            Figure(value=1000 * kernel_distance(*found).mean, num=len(people), style=".1f"),
        ]
    return cells


def _figure(values: Plane, people: Sequence[str], style: str) -> Figure:
    low, high = bootstrap_interval(values, people)
    return Figure(value=float(values.mean()), low=low, high=high, num=len(values), style=style)


# Matching


@dataclass(frozen=True, kw_only=True)
class MatchScores:
    """Similarities of all probes and all photos, by one recognizer and one way of matching.

    Args:
        style: of the probes.
        recognizer: its name.
        mode: one of `MODES`.
        scores: (N, M), probe x photo; a row of NaN where no face was found in a probe.
    """

    style: str
    recognizer: str
    mode: str
    scores: Plane


def score_matches(
    subjects: Sequence[Subject],
    matchers: Sequence[Matcher],
    modes: Sequence[str] = MODES,
    track: Callable[[Sequence[Subject]], Iterable[Subject]] = iter,
) -> list[MatchScores]:
    """The similarities of every probe and every photo in every way.

    Args:
        subjects: one or more people; after those with probes come those who are only in the gallery.
        matchers: one for each recognizer; all use the first's sketcher.
        modes: ways of matching.
        track: passes subjects on, and may show progress.
    """
    sketcher = matchers[0].sketcher
    styles = list(subjects[0].probes)
    probes: dict[tuple[str, str, str], list[Plane | None]] = {}
    photos: dict[tuple[str, str, str], list[Plane]] = {}
    for subject in track(subjects):
        for style in styles:
            if style in subject.probes:
                face = next(iter(sketcher.finder.find(subject.probes[style])), None)
                for matcher, mode in product(matchers, modes):
                    own = None if face is None else matcher.embed_probe(face, mode)
                    probes.setdefault((style, matcher.recognizer.name, mode), []).append(own)
            for mode in dict.fromkeys(map(_gallery_of, modes)):
                shown = subject.photo
                if mode == "synthesis":
                    shown = sketcher.draw(subject.photo, _style_of(style), mesh=subject.mesh)
                for matcher in matchers:
                    key = (style, matcher.recognizer.name, mode)
                    photos.setdefault(key, []).append(matcher.recognizer.embed(shown, subject.landmarks))
    by_name = {matcher.recognizer.name: matcher.recognizer for matcher in matchers}
    found = []
    for (style, name, mode), searched in probes.items():
        gallery = np.stack(photos[style, name, _gallery_of(mode)])
        missing = np.full(len(gallery), np.nan, np.float32)
        rows = [missing if probe is None else by_name[name].similarity(probe[None], gallery) for probe in searched]
        found.append(MatchScores(style=style, recognizer=name, mode=mode, scores=np.stack(rows)))
    return found


def _gallery_of(mode: str) -> str:
    """The way whose photos are embedded alike."""
    return mode if mode == "synthesis" else "direct"


def tabulate_matches(found: Sequence[MatchScores], people: int, strangers: int = 0) -> Table:
    """CMC and TAR of each way: of all people, and in brackets mean and deviation over `NUM_SPLITS` random halves."""
    also = f", and of {strangers} others" if strangers else ""
    rows = {f"{one.style}, {one.mode}, {one.recognizer}": _judge_matches(one.scores) for one in found}
    return Table(
        name="matching",
        title=f"Sketch against photo among {people} held-out people",
        headers=_MATCH_HEADERS,
        rows=rows,
        corner="probe, way, recognizer",
        note=f"Gallery: one photo of each{also}. The value is that of all {people}; brackets: mean minus and plus the "
        f"standard deviation over {NUM_SPLITS} random halves of the people. Random rank 1: "
        f"{1 / max(people + strangers, 1):.1%}. Found: share of probes in which a face is found; the others count as "
        "missed.",
    )


def _judge_matches(scores: Plane) -> list[Cell]:
    generator = np.random.default_rng(0)
    others = np.arange(*scores.shape)
    halves = [generator.permutation(len(scores))[: max(len(scores) // 2, 1)] for _ in range(NUM_SPLITS)]
    measures: list[Callable[[Plane], float]] = [
        lambda own: float((~np.isnan(np.diag(own))).mean()),
        *(lambda own, rank=rank: match_characteristic(find_ranks(own), rank) for rank in RANKS),
        *(lambda own, rate=rate: true_accept_rate(own, rate) for rate in FALSE_ACCEPT_RATES),
    ]
    cells: list[Cell] = []
    for measure in measures:
        split = np.array([measure(scores[np.ix_(half, [*half, *others])]) for half in halves])
        mean, spread = (float(split.mean()), float(split.std())) if not np.isnan(split).any() else (math.nan, math.nan)
        cells.append(Figure(value=measure(scores), low=mean - spread, high=mean + spread, num=len(scores), style=".1%"))
    return cells


def _style_of(style: str) -> str:
    return style if style in STYLES else STYLES[0]


def _describe_references(subjects: Sequence[Subject]) -> str:
    return "artists' sketches" if ARTIST in subjects[0].references else DRAWN


def _to_probe(drawn: Pixels) -> Pixels:
    return make_card(geometry.resize(drawn, SCALE * SKETCH_PX, SCALE * SKETCH_PX))


def _to_grey(photo: Pixels) -> Pixels:
    small = geometry.resize(photo, SKETCH_PX, SKETCH_PX)
    grey = np.rint(small @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)
