"""What the engine `ldla` costs, and what noise, guidance, steps and change scales do.

python benchmarks/ldla.py speed                                      seconds and memory by the number of zones
python benchmarks/ldla.py strength shards/                           noise, guidance, steps and change scales
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import replace
from functools import partial
from pathlib import Path

from common.clocks import peak_mb, run_apart, timed
from common.markdown import show, to_markdown
from rich.console import Console

SCORE = 0.9
ROUNDS = 5
STEPS = 20
NUM_FACES = 8
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


def strength(shards: Path, num_faces: int) -> str:
    """The table of noise, guidance, steps and change scales, as Markdown: on training people."""
    from common.zone_responses import COLUMNS, read_faces, respond

    from reage.engines.exemplar import ExemplarEngine
    from reage.engines.ldla import ChangeScaleConfig, LdlaConfig, LdlaEngine, SamplingConfig
    from reage.nets.diffusion import load_base
    from reage.training.runner import DEFAULT_BASE

    faces, rows = read_faces(shards, "train", num_faces), []
    exemplar = ExemplarEngine.load()
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
            engine = LdlaEngine(base, "", exemplar, LdlaConfig(zones=zones, change_scale=change_scale))
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
    parser = argparse.ArgumentParser(description="What ldla costs, and what its settings do.")
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("speed")
    one.add_argument("--write", type=Path, help="also write the table to this file")
    one = parts.add_parser("strength")
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
        show(speed() if given.part == "speed" else strength(given.shards, given.faces), given.write)


if __name__ == "__main__":
    main()
