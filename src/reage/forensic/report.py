"""Writes a case: pictures, one page of HTML, the same page as PDF, and the numbers as JSON."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path

from reage.errors import ImageError
from reage.files import replace_file
from reage.forensic.case import Case
from reage.images import Image, save_image
from reage.images.codec import encode_png
from reage.images.pages import TextLine, draw_page, encode_pdf
from reage.types import Pixels

CAUTION = (
    "This is no evidence. A program drew these faces; it cannot know how this person looked, or looks, at another age. "
    "Details such as lines, hair, scars and weight are guesses from other people. Ages and distances are estimates "
    "with errors. Use it to jog a memory or to start a search, never to identify, accuse or rule out anybody."
)
"""What every report says first."""

_STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    ".caution{border:2px solid #a00;padding:.6em 1em;background:#fff4f2}"
    "figure{display:inline-block;margin:.5em;width:15em}figure img{width:100%}figcaption{font-size:.85em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #bbb;padding:.25em .7em;text-align:left}"
)


def write_case(case: Case, folder: str | Path) -> list[Path]:
    """Writes everything into a folder, which is made, and returns the files.

    Raises:
        ImageError: when the folder or a file cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another one.") from error
    pictures = {name: pixels for name, _, pixels in _pictures(case)}
    for name, pixels in pictures.items():
        save_image(Image(pixels=pixels), folder / name, altered=name != "photo.png")
    written = {
        "report.html": to_html(case).encode(),
        "report.pdf": encode_pdf([to_page(case)], title="Forensic age progression"),
        "report.json": (json.dumps(case.to_json(), indent=1, allow_nan=False) + "\n").encode(),
    }
    for name, content in written.items():
        with replace_file(folder / name, ImageError) as unfinished:
            unfinished.write_bytes(content)
    return [folder / name for name in (*pictures, *written)]


def to_html(case: Case) -> str:
    """One page without outside files; its pictures are inside."""
    figures = "".join(
        f'<figure><img alt="{html.escape(label)}" src="data:image/png;base64,'
        f'{base64.b64encode(encode_png(pixels)).decode()}"><figcaption>{html.escape(label)}</figcaption></figure>'
        for _, label, pixels in _pictures(case)
    )
    head, *rows = numbers_table(case)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>{body}</table>"
    facts = "".join(f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in list_facts(case))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Report</title>'
        f"<style>{_STYLE}</style></head>"
        f'<body><h1>The face at another age</h1><p class="caution"><strong>Caution.</strong> {html.escape(CAUTION)}</p>'
        f"{figures}<h2>Numbers</h2>{table}<h2>How it was made</h2><table>{facts}</table></body></html>\n"
    )


def to_page(case: Case) -> Pixels:
    """The same page as a picture (H, W, 3), A4 at 150 dpi."""
    lines = [TextLine("The face at another age", size=1.8), TextLine(f"Caution. {CAUTION}", boxed=True)]
    numbers = [TextLine("\t".join(row)) for row in numbers_table(case)]
    facts = [TextLine(f"{name}: {value}", size=0.85) for name, value in list_facts(case)]
    pictures = [(pixels, label) for _, label, pixels in _pictures(case)]
    return draw_page(lines, pictures, [*numbers, TextLine(""), *facts])


def numbers_table(case: Case) -> list[tuple[str, ...]]:
    """Rows of text, the head first: age asked for, ages read with their spread, identity."""
    before = case.reading
    rows: list[tuple[str, ...]] = [("", "age read", "identity distance", "by aifd", "of the sketch")]
    rows.append(("photo", f"{before.age_years:.0f} ± {before.age_std_years:.0f}", "0", "1", ""))
    for one in case.drawn:
        reading = one.reading
        rows.append(
            (
                f"at {one.age:g}",
                f"{reading.age_years:.0f} ± {reading.age_std_years:.0f}",
                f"{one.distance:.2f}",
                f"{one.similarity:.2f}",
                f"{one.sketch_distance:.2f}",
            )
        )
    return rows


def list_facts(case: Case) -> list[tuple[str, str]]:
    """How it was made: name and value of each fact."""
    given = "measured" if case.request.age_from is None else f"{case.request.age_from:g} years, as given"
    facts = [
        ("Photo", case.source or "pixels"),
        ("Age of the person in the photo", given),
        ("Engine", case.engine),
        ("References", str(case.num_references)),
        ("Style", case.request.style),
        ("Seed", str(case.request.seed)),
        ("Weights", ", ".join(f"{name} {digest or 'none'}" for name, digest in case.weights.items())),
        (
            "One person",
            f"identity distance below {case.same_person_distance:g}; 1 in 1000 pairs of strangers are as near",
        ),
        ("Time", f"{sum(case.seconds.values()):.1f} s"),
        ("Program", f"reage {case.version}"),
    ]
    doubts = (
        [("Doubt", f"the age may be read wrongly, as the face is {' and '.join(case.doubts)}")] if case.doubts else []
    )
    return [*facts, *doubts, *(("Note", note) for note in case.notes)]


def _pictures(case: Case) -> list[tuple[str, str, Pixels]]:
    """File name, label and pixels of every picture."""
    found = [("photo.png", "photo, aligned", case.photo)]
    for one in case.drawn:
        found.append((f"aged-{one.age:g}.png", f"at {one.age:g}, by {case.engine}", one.aged))
        found.append((f"sketch-{one.age:g}.png", f"at {one.age:g}, drawn as {case.request.style}", one.sketch))
    return found
