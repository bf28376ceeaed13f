"""Measures `reage video`: frames a second, and flicker beside that of frames that are aged one by one.

The clips are made here, 1280 x 720 px, from portraits: the head turns (`reage.reenactment`), the camera moves,
the light wanders across the face, and the sensor has noise. Nothing of them is kept.

    python benchmarks/video.py P001/studio_portrait.jpg P004/studio_portrait.jpg --frames 24 --write benchmarks/video.md

openpeople (MIT, PyPI openpeople 0.1.2) has such portraits.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from reage.evaluation.video import judge_video
from reage.images import geometry, load_image
from reage.pipeline import Reager
from reage.reenactment import Reenactor, Target
from reage.types import Pixels, Plan
from reage.video.aging import VideoReager
from reage.video.codecs import choose_encoding
from reage.video.encoding import SegmentEncoder
from reage.video.frames import to_rgb, write_change
from reage.video.muxing import MuxedFrames, mux
from reage.video.order import VideoOrder
from reage.video.source import FrameReader, probe_video

HEIGHT, WIDTH, RATE = 720, 1280, 30
NOISE_LEVELS = 2.0
TURN_DEGREES = 15.0
TURN_STEP = 0.05


def make_clip(photo: Path, path: Path, num_frames: int, reenactor: Reenactor | None = None) -> None:
    """Writes a clip of a portrait that moves, turns and is lit differently, with sound."""
    pixels = load_image(photo).pixels
    pixels = geometry.resize_by(pixels, HEIGHT / pixels.shape[0])
    turned: dict[float, Pixels] = {}
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "14", "preset": "fast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        for number in range(num_frames):
            seconds = number / RATE
            source = pixels
            if reenactor is not None:
                yaw = TURN_DEGREES * math.sin(2 * math.pi * seconds / 2.4)
                source = blend_turns(reenactor, pixels, yaw, turned)
            frame = draw_frame(source, seconds, random)
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
        for first in range(0, round(44100 * num_frames / RATE), 1024):
            wave = 0.3 * np.sin(np.arange(first, first + 1024) * 0.05)
            heard = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            heard.sample_rate, heard.pts = 44100, first
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))


def blend_turns(reenactor: Reenactor, pixels: Pixels, yaw: float, turned: dict[float, Pixels]) -> Pixels:
    """The portrait turned to the nearest multiple of `TURN_STEP`, drawn once."""
    nearest = TURN_STEP * round(yaw / TURN_STEP)
    if nearest not in turned:
        turned[nearest] = reenactor.reenact(pixels, Target(yaw=nearest)).image.pixels if nearest else pixels
    return turned[nearest]


def draw_frame(pixels: Pixels, seconds: float, random: np.random.Generator) -> Pixels:
    """One frame (720, 1280, 3): moved, lit and with noise."""
    height, width = pixels.shape[:2]
    angle = math.radians(4 * math.sin(2 * math.pi * seconds / 2.1))
    scale = 1 + 0.04 * math.sin(2 * math.pi * seconds / 3)
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array([WIDTH / 2 + 60 * math.sin(2 * math.pi * seconds / 2.5), HEIGHT / 2])
    matrix = np.hstack([turn, (centre - turn @ np.array([width / 2, height / 2]))[:, None]])
    moved = geometry.warp(pixels, matrix, HEIGHT, WIDTH).astype(np.float32)
    light = 1 + 0.25 * math.sin(math.pi * seconds) * np.linspace(-1, 1, WIDTH, dtype=np.float32)
    noisy = moved * light[None, :, None] + random.normal(0, NOISE_LEVELS, moved.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def age_one_by_one(reager: Reager, clip: Path, age: float, age_from: float, path: Path) -> float:
    """Ages every frame like a photo, and returns frames a second."""
    source = probe_video(clip)
    encoding = choose_encoding(source, path)
    encoder, pts, started = None, [], time.perf_counter()
    for frame in FrameReader(source):
        encoder = encoder or SegmentEncoder(source, encoding, frame.picture)
        before = np.asarray(to_rgb(frame.picture, source), np.uint8)
        after = reager(before, Plan(age=age, age_from=age_from)).image.pixels
        encoder.add(
            write_change(frame.picture, after, (0, len(after), 0, after.shape[1]), source, encoding.pixel_format)
        )
        pts.append(frame.pts)
    assert encoder is not None
    segment = path.with_suffix(".packets")
    encoder.finish(segment)
    mux(source, encoding, MuxedFrames(segments=[segment], pts=pts), path)
    return len(pts) / (time.perf_counter() - started)


def measure(photo: Path, folder: Path, num_frames: int, age: float, baseline: bool) -> dict[str, Any]:
    """The numbers of one clip."""
    clip, aged, single = (folder / f"{photo.parent.name}-{name}.mp4" for name in ("clip", "aged", "single"))
    make_clip(photo, clip, num_frames, Reenactor.load())
    ager = VideoReager(Reager())
    cpu, started = time.process_time(), time.perf_counter()
    outcome = ager.age(clip, VideoOrder(plan=Plan(age=age)), aged)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    row: dict[str, Any] = {
        "portrait": photo.parent.name,
        "frames": outcome.num_frames,
        "frames_aged": outcome.num_aged,
        "frames_per_second": round(outcome.num_frames / wall, 2),
        "cpu_seconds_per_frame": round(cpu / outcome.num_frames, 3),
        "video": {key: value for key, value in judge_video(clip, aged).to_json().items() if key != "readings"},
    }
    if baseline:
        age_from = outcome.people[0].reading.age_years
        row["one_by_one_frames_per_second"] = round(age_one_by_one(ager.reager, clip, age, age_from, single), 2)
        row["one_by_one"] = {
            key: value for key, value in judge_video(clip, single).to_json().items() if key != "readings"
        }
    return row


def to_markdown(rows: list[dict[str, Any]], target: float) -> str:
    """The table of all clips."""
    head = (
        "clip",
        "aged how",
        "frames a second",
        "CPU s a frame",
        "flicker, face",
        "flicker, head",
        "noise of the source",
    )
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        for name, label in (("video", "`reage video`"), ("one_by_one", "frame by frame")):
            if name not in row:
                continue
            own = row[name]
            speed = row["frames_per_second" if name == "video" else "one_by_one_frames_per_second"]
            cpu = row["cpu_seconds_per_frame"] if name == "video" else ""
            noise = f"{own['face']['source_noise_levels']:.2f}, {own['head']['source_noise_levels']:.2f}"
            flicker = f"{own['face']['flicker_levels']:.2f} | {own['head']['flicker_levels']:.2f}"
            lines.append(f"| {row['portrait']} | {label} | {speed} | {cpu} | {flicker} | {noise} |")
    ages = "; ".join(
        f"{row['portrait']} {row['video']['aged_years']:.1f} ± {row['video']['aged_years_spread']:.1f}" for row in rows
    )
    return "\n".join(
        (
            "# Video",
            "",
            f"Clips of {rows[0]['frames']} frames, 1280 x 720 px at 30 a second, of turning, moving, differently lit",
            f"portraits of openpeople, aged to {target:g}. Flicker and noise in grey levels, see",
            "[video](../docs/video.md). Made by `python benchmarks/video.py`; frames a second hold finding, ageing and",
            "writing, and depend on what else the computer does; the CPU seconds of a frame do not.",
            "",
            *lines,
            "",
            f"Age read over the clip, mean and spread: {ages}.",
            "",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("portraits", type=Path, nargs="+", help="photos of one face each")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--to", type=float, default=75.0)
    parser.add_argument("--no-baseline", action="store_true", help="leave out ageing frame by frame")
    parser.add_argument("-o", "--output", type=Path, default=Path("video.json"))
    parser.add_argument("--write", type=Path, help="file of the table")
    given = parser.parse_args()
    rows = []
    with TemporaryDirectory() as folder:
        for photo in given.portraits:
            rows.append(measure(photo, Path(folder), given.frames, given.to, not given.no_baseline))
            print(json.dumps(rows[-1]), flush=True)
            given.output.write_text(json.dumps(rows, indent=1), encoding="utf-8")
            if given.write is not None:
                given.write.write_text(to_markdown(rows, given.to), encoding="utf-8")


if __name__ == "__main__":
    main()
