"""What the page says, as Markdown in which nothing of a file is read as markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reage.server.guard import Refused
from reage.server.jobs import Job
from reage.server.tasks import Answer
from reage.zones import ZONES


def say(refusal: Refused) -> str:
    """A refusal in bold."""
    return f"**{plain(str(refusal.detail))}**"


def plain(text: str) -> str:
    """A text in which nothing is read as Markdown or HTML."""
    return "".join(f"&#{ord(one)};" if one in "\\`*_{}[]()<>#+!|&" else one for one in text)


def name_zone(zone: str) -> str:
    """A zone in words."""
    name, _, side = zone.partition(".")
    return name.replace("_", " ") + (f", {side}" if side else "")


def describe_found(measured: Answer) -> str:
    """How many faces were found, how old they look, and why that may be wrong."""
    faces = measured.values["faces"]
    looks = ", ".join(f"{face['age_years']:.0f} ± {face['age_std_years']:.0f}" for face in faces)
    doubts = "".join(
        f" Face {number} is {' and '.join(face['doubts'])}." for number, face in enumerate(faces, 1) if face["doubts"]
    )
    return f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}, looking {looks} years old.{doubts}"


def describe_readings(measured: Answer) -> str:
    """A table of all that was read, a column for each face."""
    faces = measured.values["faces"]
    heads = " | ".join(f"face {number}" for number in range(1, len(faces) + 1))
    rows = [
        ("looks, years", [f"{face['age_years']:.0f} ± {face['age_std_years']:.0f}" for face in faces]),
        ("quality", [", ".join(face["doubts"]) or "good" for face in faces]),
        *((name_zone(zone), [_score(face["zones"], zone) for face in faces]) for zone in ZONES),
        *(
            (name.replace("_", " "), [_score(face["skin"], name) for face in faces])
            for name in ("dark_spots", "redness")
        ),
    ]
    lines = [f"| reading | {heads} |", "|---" * (len(faces) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    notes = [f"\n{plain(note)}" for note in measured.values["notes"]]
    return "\n".join([*lines, *notes])


def _score(scores: Mapping[str, float], name: str) -> str:
    return f"{scores[name]:.2f}" if name in scores else "not shown"


def describe_aged(answer: Answer) -> str:
    """From which age to which each face was aged, and all that a person should know."""
    values = answer.values
    parts = []
    for number, face in enumerate(values["faces"], 1):
        parts.append(f"Face {number}: aged from {face['plan']['age_from']:.0f} to {face['plan']['age']:g}.")
        if face["doubts"]:
            parts.append(f"It is {' and '.join(face['doubts'])}; give the real age under More.")
        left_out = [one for one in face.get("references", ()) if not one["used"]]
        parts += [f"{plain(one['file'])} is left out: {plain(one['left_out'])}." for one in left_out]
    seconds = sum(values["seconds"].values())
    return " ".join([*parts, *(plain(note) for note in values["notes"]), f"It took {seconds:.1f} s."])


def describe_job(job: Job) -> str:
    """What a job does at the moment, or why it failed."""
    if job.state == "waiting":
        return "Waiting for another job."
    if job.state in ("failed", "cancelled"):
        return f"**{plain(job.message)}**"
    step, done, total = job.progress.step, job.progress.done, job.progress.total
    of = f" of {total}" if total else ""
    return f"{step[:1].upper()}{step[1:]}: {done}{of}." if step else "Starting."


def describe_video(outcome: Mapping[str, Any]) -> str:
    """Who was aged in a video, and all that a person should know."""
    parts = [f"Aged in {outcome['frames_aged']} of {outcome['frames']} frames."]
    for person in outcome["people"]:
        if person["target_years"] is not None:
            first, last = person["target_years"]
            to = "changed" if first is None else f"to {first:g}" if first == last else f"to {first:g} to {last:g}"
            parts.append(f"Person {person['person']}: from {person['age_years']:.0f} {to}.")
    parts += [plain(note) for note in (*outcome["notes"], outcome["broken"]) if note]
    return " ".join([*parts, f"It took {sum(outcome['seconds'].values()):.0f} s."])


def describe_photos(outcome: Mapping[str, Any]) -> str:
    """What became of each photo of a job."""
    lines = []
    for photo in outcome["photos"]:
        count = len(photo.get("faces", ()))
        became = plain(photo["message"]) if "error" in photo else f"{count} {'face' if count == 1 else 'faces'} aged"
        lines.append(f"- {plain(photo['photo'])}: {became}")
    return "\n".join(lines)
