"""Does de-aging help a sketch find an earlier photo? The test that decides whether the chain is useful.

Held-out people with two photos years apart: the probe is a sketch of the later photo, as it is or de-aged to the age in
the earlier one; the gallery is everybody's earlier photo, and photos of other held-out people.

    python benchmarks/forensic_gap.py shards/ --write benchmarks/forensic_gap.md
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from common.markdown import show, show_interval, to_markdown
from rich.progress import track

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits, read_shards
from reage.engines import load_engine
from reage.evaluation.real_aging import pairs_of
from reage.images import geometry
from reage.matching import MATCHERS, Matcher
from reage.sketch import Sketcher
from reage.training.distillation import Teacher
from reage.types import Pixels, Plane

PROBES = ("later photo", "de-aged photo", "sketch of the later photo", "sketch of the de-aged photo")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Sketches of people at another age, with and without de-aging.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--engine", default="exemplar")
    parser.add_argument("--style", default="pencil")
    parser.add_argument("--min-years", type=float, default=5.0, help="between both photos")
    parser.add_argument("--count", type=int, default=220, help="people")
    parser.add_argument("--strangers", type=int, default=480, help="other held-out people in the gallery")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    everybody = read_shards(given.shards, "val")
    portraits = everybody.with_known_age()
    ages = portraits.age_years
    pairs = [(a, b) for a, b in pairs_of(portraits) if ages[b] - ages[a] >= given.min_years]
    pairs = [pairs[row] for row in np.linspace(0, len(pairs) - 1, min(given.count, len(pairs))).astype(int)]
    sketcher, teacher = Sketcher(), Teacher.load(load_engine(given.engine))
    matchers = [Matcher(name, sketcher=sketcher) for name in MATCHERS]
    probes: dict[tuple[str, str], list[Plane]] = {}
    gallery: dict[str, list[Plane]] = {}
    for earlier, later in track(pairs, "people"):
        face = portrait_to_face(portraits, later, teacher.parser)
        reading = replace(teacher.read(face), age_years=float(ages[later]))
        aged = teacher.age(face, reading, float(ages[earlier]))
        drawn = [draw(sketcher, crop, given.style, face.to_crop(face.mesh)) for crop in (face.crop, aged)]
        pictures = dict(zip(PROBES, (face.crop, aged, *drawn), strict=True))
        for matcher in matchers:
            name, embed = matcher.recognizer.name, matcher.recognizer.embed
            gallery.setdefault(name, []).append(embed(portraits.crops[earlier], portraits.landmarks[earlier]))
            for kind, picture in pictures.items():
                probes.setdefault((name, kind), []).append(embed(picture, portraits.landmarks[later]))
    strangers = find_strangers(everybody, {str(portraits.person[a]) for a, _ in pairs}, given.strangers)
    for matcher in matchers:
        embed = matcher.recognizer.embed
        gallery[matcher.recognizer.name] += [embed(everybody.crops[row], everybody.landmarks[row]) for row in strangers]
    gaps = np.array([ages[b] - ages[a] for a, b in pairs])
    people = [str(portraits.person[a]) for a, _ in pairs]
    note = (
        f"{len(pairs)} held-out people, all adults, {gaps.mean():.0f} years apart in the mean ({gaps.min():.0f} to "
        f"{gaps.max():.0f}). De-aged by {given.engine} from the true later to the true earlier age; drawn as "
        f"{given.style} by the net. Gallery: everybody's earlier photo and {len(strangers)} other people; random "
        f"rank 1: {1 / (len(pairs) + len(strangers)):.1%}. Margin: similarity to the own earlier photo minus that to "
        "the nearest other person. Gain: margin with de-aging minus without, of the same people. Brackets: 95 % over "
        "people."
    )
    lines = []
    for matcher in matchers:
        lines += tabulate(matcher, probes, np.stack(gallery[matcher.recognizer.name]), people)
    headers = ["recognizer", "probe", "rank 1", "rank 5", "rank 10", "TAR at FAR 0.001", "margin", "gain"]
    show(to_markdown("Sketches across years", note, headers, lines), given.write)


def draw(sketcher: Sketcher, crop: Pixels, style: str, mesh: Plane) -> Pixels:
    """The sketch of a crop, at its size."""
    return geometry.resize(sketcher.draw(crop, style, mesh=mesh), *crop.shape[:2])


def find_strangers(everybody: Portraits, people: set[str], count: int) -> list[int]:
    """Rows of one photo each of so many other people, evenly spaced over all."""
    first = np.sort(np.unique(everybody.person, return_index=True)[1])
    others = [int(row) for row in first if str(everybody.person[row]) not in people]
    return [others[place] for place in np.linspace(0, len(others) - 1, min(count, len(others))).astype(int)]


def tabulate(
    matcher: Matcher, probes: dict[tuple[str, str], list[Plane]], gallery: Plane, people: list[str]
) -> list[list[str]]:
    """A row for each kind of probe."""
    name, lines, margins = matcher.recognizer.name, [], {}
    for kind in PROBES:
        scores = np.stack([matcher.recognizer.similarity(one[None], gallery) for one in probes[name, kind]])
        own = np.diag(scores)
        others = np.where(np.eye(len(scores), scores.shape[1], dtype=np.bool_), -np.inf, scores)
        ranks = (others >= own[:, None]).sum(1) + 1
        accepted = (own > np.quantile(others[np.isfinite(others)], 0.999)).astype(float)
        margins[kind] = own - others.max(1)
        without = kind.replace("de-aged", "later")
        gain = show_interval(margins[kind] - margins[without], people, ".3f") if without != kind else ""
        cells = [show_interval(values, people) for values in (ranks == 1, ranks <= 5, ranks <= 10, accepted)]
        lines.append([name, kind, *cells, show_interval(margins[kind], people, ".3f"), gain])
    return lines


if __name__ == "__main__":
    main()
