"""What the engine `ldla` costs, what noise and guidance do, and how its zones are best pasted back.

    python benchmarks/ldla.py speed                                      seconds and memory by the number of zones
    python benchmarks/ldla.py strength shards/                           noise, guidance, steps and change scales
    python benchmarks/ldla.py paste shards/                              pasting methods, on held-out people
    python benchmarks/ldla.py paste shards/ --write benchmarks/ldla_paste.md

Pasting methods: the decoded pictures or their change alone; within hard borders, soft ones, or blended band by band
(a Laplacian pyramid: coarse bands more softly); and soft with the refiner. All zones are asked for 0.9. The seam is by
how much the differences between neighbouring pixels across the zones' borders have grown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common.clocks import peak_mb, run_apart, timed
from common.markdown import show, to_markdown
from rich.console import Console
from rich.progress import track

SCORE = 0.9
FINE_PX = 2.0
LEVELS = 5
ROUNDS = 5
STEPS = 20
NUM_FACES = 8
STYLES = ("+.2f", ".2f", ".2f", ".3f")
STRENGTHS = (
    (0.4, 3.0, 5, 1.0, False),
    (0.1, 8.0, 5, 1.0, False),
    (0.02, 8.0, 5, 1.0, False),
    (0.02, 3.0, 5, 0.0, False),
    (0.02, 6.0, 5, 0.0, False),
    (0.02, 10.0, 5, 0.0, False),
    (0.02, 16.0, 5, 0.0, False),
    (0.02, 10.0, 10, 0.0, False),
    (0.02, 6.0, 5, 0.0, True),
    (0.02, 10.0, 5, 0.0, True),
)
CHOSEN = {"1 zone": ("crows_feet.left",), "12 zones": ("all",)}


def speed() -> str:
    """The table of seconds and memory, as Markdown."""
    rows = []
    for name, zones in CHOSEN.items():
        for refined in (True, False):
            found = json.loads(run_apart(__file__, "measure", *zones, *([] if refined else ["--unrefined"])))
            rows.append(
                [
                    f"{name}{'' if refined else ', no refiner'}",
                    f"{found['seconds']:.2f}",
                    "" if refined else f"{found['unscaled']:.2f}",
                    "" if refined else f"{found['step']:.3f}",
                    f"{found['mb']:.0f}",
                ]
            )
    note = (
        f"The demo face in a crop of 512 px, {STEPS} steps a zone, medians of {ROUNDS} rounds on {os.cpu_count()} CPU "
        "cores; each row has a process of its own, whose peak memory is all of it. Made by `python benchmarks/ldla.py "
        "speed`."
    )
    columns = (
        "zones",
        "render, s",
        "without change scales, s",
        "a denoising step of the zones, s",
        "peak MB of the process",
    )
    return to_markdown("What ldla costs", note, columns, rows)


def measure(zones: list[str], refined: bool) -> dict[str, float]:
    """This process's MB and median seconds of a rendering; without refiner also without scales, and of one step."""
    import skimage.data

    from reage import Plan, Reager
    from reage.engines.ldla import REFINER, LdlaConfig, LdlaEngine, SamplingConfig
    from reage.pipeline import render
    from reage.plan import complete

    artist = Reager("none")
    (face,) = artist.find(skimage.data.astronaut())
    reading = artist.measure(face)
    plan = complete(Plan(zones=dict.fromkeys(zones, SCORE)), reading)
    config = LdlaConfig(zones=SamplingConfig(num_inference_steps=STEPS), refiner=REFINER if refined else None)
    unscaled = replace(config, change_scale=None, refiner=None)
    fewer = replace(unscaled, zones=replace(unscaled.zones, num_inference_steps=STEPS // 2))
    medians = []
    for chosen in (config,) if refined else (config, unscaled, fewer):
        engine = LdlaEngine.load(config=chosen)
        render(engine, face, reading, plan)
        rounds = [timed(partial(render, engine, face, reading, plan))[1] for _ in range(ROUNDS)]
        medians.append(statistics.median(rounds))
    found = {"seconds": medians[0], "mb": peak_mb()}
    if not refined:
        _, seconds, half_seconds = medians
        found |= {"unscaled": seconds, "step": (seconds - half_seconds) / (STEPS - STEPS // 2)}
    return found


def paste_by_all_methods(engine: Any, face: Any, reading: Any, plan: Any) -> dict[str, np.ndarray]:
    """Pasting method -> the aged crop, before it is rounded."""
    from reage.engines.ldla.redraw import redraw
    from reage.faces.geometry import bare_masks, zone_masks
    from reage.faces.patches import cut_patches, paste_patches
    from reage.images.tensors import to_levels, to_net

    points, skin, soft = face.to_crop(face.landmarks), face.skin * (1 - face.hair), bare_masks(face)
    hard = {zone: (mask * skin > 0.5).astype(np.float32) for zone, mask in zone_masks(face).items()}
    everywhere = {zone: mask / np.maximum(sum(soft.values()), 0.02) for zone, mask in soft.items()}
    edits = engine.find_edits(reading, plan)
    names = [edit.patch for edit in edits]
    patches = cut_patches(face.crop, points, names, engine.base.picture_px)
    unaged = to_levels(redraw(engine.base, to_net(patches), edits, plan.seed, engine.config.zones)[1])
    photo = face.crop.astype(np.float32)

    def put(change: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
        return photo + paste_patches(change, points, names, masks, len(photo)).mean(-1, keepdims=True)

    change = engine.make_patch_changes(face, edits, plan.seed)
    picture = change + unaged - patches
    blended = blend_bands(photo, put(change, everywhere), sum(hard.values()))
    return {
        "pictures, hard borders": put(picture, hard),
        "pictures, soft borders": put(picture, soft),
        "change, hard borders": put(change, hard),
        "change, soft borders": put(change, soft),
        "change, pyramid": blended,
        "change, soft borders, refiner": engine.render(face, reading, plan).crop.astype(np.float32),
    }


def blend_bands(photo: np.ndarray, other: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Both pictures (S, S, 3) joined along a mask (S, S), coarse bands more softly (Burt & Adelson 1983)."""
    from reage.images import geometry

    def blur(picture: np.ndarray, sigma_px: float) -> np.ndarray:
        return np.stack([geometry.blur(plane, sigma_px) for plane in np.moveaxis(picture, -1, 0)], -1)

    joined, rest = np.zeros_like(photo), other - photo
    for level in range(LEVELS):
        sigma_px = 2.0**level
        coarse = blur(rest, sigma_px) if level < LEVELS - 1 else np.zeros_like(rest)
        joined += geometry.blur(mask, sigma_px)[..., None] * (rest - coarse)
        rest = coarse
    return photo + joined


def judge(faces: list[Any], engine: Any, judges: Any) -> dict[str, list[list[float]]]:
    """Pasting method -> for each face seam, detail kept, share of the requested rise, and identity distance."""
    from reage.faces.geometry import zone_masks
    from reage.faces.zone_scorer import ZoneScorer
    from reage.images.regions import to_pixels
    from reage.measure import AgeEstimator, measure_face
    from reage.measure.recognizers import identity_distance
    from reage.plan import complete
    from reage.types import Plan

    age_estimator, zone_scorer = AgeEstimator.load("age-a"), ZoneScorer.load("zones-a")
    found: dict[str, list[list[float]]] = {}
    for face in track(faces):
        scores, points = judges.scorer.measure(face), face.to_crop(face.landmarks)
        reading = measure_face(face, age_estimator, zone_scorer)
        plan = complete(Plan(zones={"all": SCORE}), reading)
        inside = sum(zone_masks(face).values()) * face.skin * (1 - face.hair) > 0.5
        for method, crop in paste_by_all_methods(engine, face, reading, plan).items():
            aged = replace(face, crop=to_pixels(crop))
            rises = {zone: score - scores[zone] for zone, score in judges.scorer.measure(aged).items()}
            old, new = (light(one.crop) for one in (face, aged))
            before, after = (judges.recognizer.embed(one.crop, points) for one in (face, aged))
            found.setdefault(method, []).append(
                [
                    seam(old, new, inside),
                    detail_kept(old, new, inside),
                    sum(rises.values()) / sum(SCORE - scores[zone] for zone in rises),
                    float(identity_distance(before, after)),
                ]
            )
    return found


def light(crop: np.ndarray) -> np.ndarray:
    """(S, S, 3) -> (S, S) levels."""
    return crop.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def seam(old: np.ndarray, new: np.ndarray, inside: np.ndarray) -> float:
    """By how many levels the differences across the border of a region (S, S) have grown."""
    grown = []
    for axis in (0, 1):
        growth = np.abs(np.diff(new, axis=axis)) - np.abs(np.diff(old, axis=axis))
        grown.append(growth[np.diff(inside.astype(np.int8), axis=axis) != 0])
    return float(np.concatenate(grown).mean())


def detail_kept(old: np.ndarray, new: np.ndarray, inside: np.ndarray) -> float:
    """Correlation of what is finer than `FINE_PX`, before and after, within a region."""
    from reage.images import geometry

    fine = [(one - geometry.blur(one, FINE_PX))[inside] for one in (old, new)]
    return float(np.corrcoef(*fine)[0, 1])


def paste(shards: Path, num_faces: int) -> str:
    """The table of pasting methods, as Markdown."""
    import torch
    from common.zone_responses import read_faces

    from reage.engines.ldla import REFINER, LdlaConfig, LdlaEngine
    from reage.evaluation.judges import Judges

    faces = read_faces(shards, "val", num_faces)
    with torch.inference_mode():
        found = judge(faces, LdlaEngine.load(config=LdlaConfig(change_scale=None, refiner=REFINER)), Judges.load())
    table = []
    for method, own in found.items():
        values = (*np.mean(own, 0)[:3], np.median(own, 0)[3])
        table.append([method, *(f"{value:{style}}" for value, style in zip(values, STYLES, strict=True))])
    note = (
        f"{num_faces} held-out portraits, all zones asked for {SCORE}, all channels alike. Seam: by how many "
        "levels differences between neighbouring pixels across the zones' borders have grown. Detail: correlation of "
        f"what is finer than {FINE_PX:g} px, before and after. Rise: by `zones-b`, as a share of the requested one. "
        "Made by `python benchmarks/ldla.py paste`."
    )
    columns = ("pasting", "seam, levels", "detail kept", "rise", "identity distance, median")
    return to_markdown("How zones are pasted back", note, columns, table)


def strength(shards: Path, num_faces: int) -> str:
    """The table of noise, guidance, steps and change scales, as Markdown: on training people."""
    from common.zone_responses import COLUMNS, read_faces, respond

    from reage.engines.ldla import ChangeScaleConfig, LdlaConfig, LdlaEngine, SamplingConfig
    from reage.nets.diffusion import load_base
    from reage.training.runner import DEFAULT_BASE

    faces, rows = read_faces(shards, "train", num_faces), []
    trained, alone = LdlaEngine.load().base, load_base(DEFAULT_BASE)
    for name, base, settings in (("base alone", alone, STRENGTHS[1:2]), ("ldla", trained, STRENGTHS)):
        for noise_strength, guidance_scale, steps, added_noise, scaled in settings:
            zones = SamplingConfig(
                noise_strength=noise_strength,
                guidance_scale=guidance_scale,
                num_inference_steps=steps,
                added_noise=added_noise,
            )
            change_scale = ChangeScaleConfig() if scaled else None
            engine = LdlaEngine(base, "", LdlaConfig(zones=zones, change_scale=change_scale))
            given = (f"{value:g}" for value in (noise_strength, guidance_scale, steps, added_noise))
            rows.append([name, *given, "measured" if scaled else "1", *respond(engine, faces)])
            Console(stderr=True).print(*rows[-1], sep=" | ")
    note = (
        f"{num_faces} training portraits, all zones asked for 0 and for 1. Change scale: the factor on the change of "
        "a zone; measured: until `zones-a` measures the target score. "
        "Made by `python benchmarks/ldla.py strength`."
    )
    columns = ("weights", "noise strength", "guidance scale", "steps", "added noise", "change scale", *COLUMNS)
    return to_markdown("Noise, guidance, steps and change scales of ldla", note, columns, rows)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What ldla costs, and how its zones are pasted back.")
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("speed")
    one.add_argument("--write", type=Path, help="also write the table to this file")
    for name in ("strength", "paste"):
        one = parts.add_parser(name)
        one.add_argument("shards", type=Path)
        one.add_argument("--faces", type=int, default=NUM_FACES)
        one.add_argument("--write", type=Path, help="also write the table to this file")
    one = parts.add_parser("measure")
    one.add_argument("zones", nargs="+")
    one.add_argument("--unrefined", action="store_true")
    given = parser.parse_args()
    if given.part == "measure":
        print(json.dumps(measure(given.zones, not given.unrefined)))
    else:
        made = {"strength": strength, "paste": paste}
        show(speed() if given.part == "speed" else made[given.part](given.shards, given.faces), given.write)


if __name__ == "__main__":
    main()
