"""`reage compare`: whether two photos show one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reage.cli.console import print_json
from reage.cli.options import AsJson
from reage.errors import WeightsError

if TYPE_CHECKING:
    from reage.measure import AifdRecognizer, OnnxRecognizer
    from reage.types import Face


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another photo.")],
    matcher: Annotated[
        Path | None,
        typer.Option(
            metavar="aifd|FILE.onnx",
            help="Also compare by aifd, which knows people across ages, or by a net of your own.",
        ),
    ] = None,
    matcher_kind: Annotated[
        str, typer.Option(metavar="KIND", help="What your own net takes: arcface (RGB) or adaface (BGR).")
    ] = "arcface",
    matcher_threshold: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, help="Similarity from which that net sees one person; of your own net no verdict by default."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the largest faces of two photos: whether they look like one person, and the years between them.

    --matcher aifd, or a face recognition net of your own, as in --matcher adaface.onnx --matcher-kind adaface, adds its
    similarity, from -1 to 1.
    """
    from reage.faces.finder import FaceFinder, choose_faces
    from reage.images import load_image
    from reage.measure import SAME_PERSON_DISTANCE, AgeEstimator, DlibRecognizer
    from reage.measure.comparison import compare_faces

    second = _load_second(matcher, matcher_kind, matcher_threshold)
    finder, age_estimator, recognizer = FaceFinder.load(), AgeEstimator.load(), DlibRecognizer.load()
    pictures = [load_image(photo) for photo in (a, b)]
    faces = [choose_faces(finder.find(picture.pixels), "largest")[0] for picture in pictures]
    found = compare_faces(faces[0], faces[1], recognizer, age_estimator)
    verdict = {} if second is None else _compare_by(second, faces, matcher_threshold)
    if as_json:
        print_json({**found.to_json(), **({"matcher": verdict} if verdict else {})})
        return
    typer.echo(
        f"{'The same person' if found.same_person else 'Two people'}: distance {found.distance:.2f} "
        f"(the same below {SAME_PERSON_DISTANCE:g}); the second face looks {_describe_gap(found.age_gap_years)}."
    )
    if verdict:
        typer.echo(_describe_verdict(verdict))


def _load_second(path: Path | None, kind: str, threshold: float | None) -> AifdRecognizer | OnnxRecognizer | None:
    if path is not None:
        from reage.measure import load_recognizer

        return load_recognizer(path, kind)
    if threshold is not None:
        raise WeightsError(
            f"--matcher-threshold {threshold:g} needs a face net; name it with --matcher aifd or --matcher FILE.onnx."
        )
    return None


def _embed(recognizer: Any, face: Face) -> Any:
    return recognizer.embed(face.crop, face.to_crop(face.landmarks))


def _compare_by(
    recognizer: AifdRecognizer | OnnxRecognizer, faces: Sequence[Face], threshold: float | None
) -> dict[str, Any]:
    """The similarity of two faces by a net and, with a threshold, whether they are one person, as plain values."""
    similarity = float(recognizer.similarity(*(_embed(recognizer, face) for face in faces)))
    own = {name: getattr(recognizer, name) for name in ("name", "kind") if hasattr(recognizer, name)}
    verdict = {**own, "similarity": round(similarity, 4)}
    threshold = getattr(recognizer, "threshold", None) if threshold is None else threshold
    return verdict if threshold is None else {**verdict, "threshold": threshold, "same_person": similarity >= threshold}


def _describe_verdict(verdict: Mapping[str, Any]) -> str:
    words = f"{verdict['name']}: similarity {verdict['similarity']:.2f}"
    if "threshold" not in verdict:
        return f"{words}."
    people = "the same person" if verdict["same_person"] else "two people"
    return f"{words} (the same from {verdict['threshold']:g}), {people}."


def _describe_gap(years: float) -> str:
    count = abs(round(years))
    if not count:
        return "as old as the first"
    return f"{count} {'year' if count == 1 else 'years'} {'older' if years > 0 else 'younger'}"
