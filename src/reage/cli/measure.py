"""`reage measure`, `reage compare`: read faces, change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json, print_table
from reage.cli.look import AsJson
from reage.zones import ZONES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reage.faces.quality import Quality
    from reage.types import Face, Pixels, Reading


def measure(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.")],
    to: Annotated[
        float | None, typer.Option(metavar="AGE", help="Also show the zone scores to expect at this age, 1 to 100.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Also draw what was measured.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how old each face and its zones look, and whether it can be read: not too small, blurred or turned away.

    A zone's score is the share of people whose zone looks younger. The score to expect at another age is as far above
    or below the average of that age as the score is now.
    """
    from reage.faces.finder import choose_faces
    from reage.faces.quality import measure_quality
    from reage.faces.zone_scorer import ZoneScorer
    from reage.images import Image, check_output, load_image, save_image
    from reage.measure.age import AgeEstimator
    from reage.plan import complete
    from reage.types import Plan

    order = None if to is None else Plan(age=to)
    picture = load_image(photo)
    if output is not None:
        check_output(output, source=photo)
    faces = choose_faces(_load_finder().find(picture.pixels), "all")
    age_estimator, scorer = AgeEstimator.load(), ZoneScorer.load()
    readings = [replace(age_estimator.measure(face), zones=scorer.measure(face)) for face in faces]
    qualities = [measure_quality(face) for face in faces]
    later = [None if order is None else complete(order, reading).zones for reading in readings]
    if output is not None:
        save_image(Image(pixels=_draw(faces, readings)), output, altered=False)
    measured = list(zip(faces, readings, later, qualities, strict=True))
    if as_json:
        print_json({"faces": [_story(*one) for one in measured]})
        return
    columns = [
        (
            f"{reading.age_years:.0f} ± {reading.age_std_years:.0f}",
            ", ".join(quality.flags) or "good",
            *(_score_in_words(reading.zones, then, zone) for zone in ZONES),
        )
        for _, reading, then, quality in measured
    ]
    rows = list(zip(("looks, years", "quality", *ZONES), *columns, strict=True))
    when = "" if to is None else f", now → at {to:g}"
    print_table(("", *(f"face {number}{when}" for number in range(1, len(faces) + 1))), rows)
    if output is not None:
        typer.echo(output)


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another photo.")],
    matcher: Annotated[
        Path | None, typer.Option(metavar="FILE.onnx", help="Ask a face net of your own too: a file for onnxruntime.")
    ] = None,
    matcher_kind: Annotated[
        str, typer.Option(metavar="KIND", help="How that net sees faces: arcface (RGB) or adaface (BGR).")
    ] = "arcface",
    matcher_threshold: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, help="Similarity from which it sees one person; the net's own, so none by default."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the largest faces of two photos look like one person, and how many years lie between them.

    A face net of your own, as in --matcher adaface.onnx --matcher-kind adaface, adds its similarity, from -1 to 1.
    """
    from reage.faces.finder import choose_faces
    from reage.images import load_image
    from reage.measure.age import AgeEstimator
    from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance

    second = _load_matcher(matcher, matcher_kind, matcher_threshold)
    finder, age_estimator, recognizer = _load_finder(), AgeEstimator.load(), DlibRecognizer.load()
    pictures = [load_image(photo) for photo in (a, b)]
    faces = [choose_faces(finder.find(picture.pixels), "largest")[0] for picture in pictures]
    identities = [recognizer.embed(face.crop, face.to_crop(face.landmarks)) for face in faces]
    distance = float(identity_distance(*identities))
    ages = [age_estimator.measure(face).age_years for face in faces]
    same = distance < SAME_PERSON_DISTANCE
    opinion = _ask_matcher(second, faces, matcher_threshold)
    if as_json:
        print_json(
            {
                "same_person": same,
                "distance": round(distance, 4),
                "threshold": SAME_PERSON_DISTANCE,
                "age_gap_years": round(ages[1] - ages[0], 1),
                "age_years": [round(age, 1) for age in ages],
                **({"matcher": opinion} if opinion else {}),
            }
        )
        return
    verdict = "The same person" if same else "Two people"
    typer.echo(
        f"{verdict}: distance {distance:.2f} (the same below {SAME_PERSON_DISTANCE:g}); "
        f"the second face looks {_gap_in_words(ages[1] - ages[0])}."
    )
    if opinion:
        typer.echo(_opinion_in_words(opinion))


def _load_matcher(path: Path | None, kind: str, threshold: float | None) -> Any:
    from reage.errors import WeightsError

    if path is not None:
        from reage.measure.recognizers import OnnxRecognizer

        return OnnxRecognizer.load(path, kind)
    if threshold is not None:
        raise WeightsError(
            f"--matcher-threshold {threshold:g} needs a face net; name its file with --matcher FILE.onnx."
        )
    return None


def _ask_matcher(matcher: Any, faces: Sequence[Face], threshold: float | None) -> dict[str, Any]:
    if matcher is None:
        return {}
    similarity = float(matcher.similarity(*(matcher.embed(face.crop, face.to_crop(face.landmarks)) for face in faces)))
    opinion = {"name": matcher.name, "kind": matcher.kind, "similarity": round(similarity, 4)}
    return opinion if threshold is None else {**opinion, "threshold": threshold, "same_person": similarity >= threshold}


def _opinion_in_words(opinion: Mapping[str, Any]) -> str:
    words = f"{opinion['name']}: similarity {opinion['similarity']:.2f}"
    if "threshold" not in opinion:
        return f"{words}."
    verdict = "the same person" if opinion["same_person"] else "two people"
    return f"{words} (the same from {opinion['threshold']:g}), {verdict}."


def _load_finder() -> Any:
    from reage.faces.finder import FaceFinder

    return FaceFinder.load()


def _gap_in_words(years: float) -> str:
    count = abs(round(years))
    if not count:
        return "as old as the first"
    return f"{count} {'year' if count == 1 else 'years'} {'older' if years > 0 else 'younger'}"


def _score_in_words(scores: Mapping[str, float], later: Mapping[str, float] | None, zone: str) -> str:
    if zone not in scores:
        return "hidden"
    return f"{scores[zone]:.2f}" + (f" → {later[zone]:.2f}" if later is not None else "")


def _story(face: Face, reading: Reading, later: Mapping[str, float] | None, quality: Quality) -> dict[str, Any]:
    story = {
        "box": face.to_json()["box"],
        "age_years": round(reading.age_years, 1),
        "age_std_years": round(reading.age_std_years, 1),
        "zones": {zone: round(score, 3) for zone, score in reading.zones.items()},
        "quality": quality.to_json(),
    }
    return story if later is None else story | {"zones_at": {zone: round(score, 3) for zone, score in later.items()}}


def _draw(faces: Sequence[Face], readings: Sequence[Reading]) -> Pixels:
    """The faces' crops side by side, each zone with its score, the age above."""
    from reage.faces.geometry import zone_masks
    from reage.images import draw_strip, draw_zones

    maps = []
    for face, reading in zip(faces, readings, strict=True):
        masks = zone_masks(face)
        labels = {zone: f"{score:.2f}" for zone, score in reading.zones.items()}
        maps.append(draw_zones(face.crop, {zone: masks[zone] for zone in reading.zones}, labels))
    ages = [
        f"face {number}: {reading.age_years:.0f} ± {reading.age_std_years:.0f} years"
        for number, reading in enumerate(readings, start=1)
    ]
    return draw_strip(maps, ages, height_px=maps[0].shape[0])
