"""Measures `reage video` on clips that are made here, 1280 x 720 px; nothing of them is kept.

    python benchmarks/video.py clips PORTRAIT ... --write benchmarks/video.md   # flicker, age, frames, times, sound
    python benchmarks/video.py speed PORTRAIT --frames 240                      # frames a second, CPU of each part
    python benchmarks/video.py memory PORTRAIT --frames 3000                    # memory over a looped clip

In a clip a portrait moves, its head turns (`reage.reenactment`), the light wanders across the face, and the sensor has
noise. The clips of `clips` use the portraits one after the other, see `CLIPS`. openpeople (MIT, PyPI openpeople 0.1.2)
and the portraits of the United States Congress (public domain) have such portraits.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from reage.evaluation.video import judge_video
from reage.images import Image, geometry, load_image
from reage.measure import AgeEstimator
from reage.pipeline import Reager
from reage.reenactment import Reenactor, Target
from reage.types import Pixels, Plan, Plane
from reage.video.aging import Film, VideoReager, follow_faces
from reage.video.codecs import choose_encoding
from reage.video.encoding import SegmentEncoder
from reage.video.frames import to_rgb, write_change
from reage.video.muxing import MuxedFrames, mux
from reage.video.order import VideoOrder
from reage.video.source import FrameReader, probe_video

HEIGHT, WIDTH = 720, 1280
NOISE_LEVELS = 2.0
TURN_DEGREES = 15.0
TURN_STEP = 0.5
"""Degrees between two drawn poses; a smaller step is no smoother at 30 frames a second."""
SOUND_RATE = 44100


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip.

    Args:
        name: of it.
        faces: numbers of the portraits, the first for the whole clip.
        rate: frames a second.
        varies: whether the time of frames varies.
        cuts: whether the second face takes the place of the first after half of the clip.
        together: whether both are seen, side by side.
        hand: whether a hand of the colour of skin passes before the face.
        noise: standard deviation of that of the sensor, grey levels.
    """

    name: str
    faces: tuple[int, ...]
    rate: int = 30
    varies: bool = False
    cuts: bool = False
    together: bool = False
    hand: bool = False
    noise: float = NOISE_LEVELS


CLIPS = (
    Clip(name="turning", faces=(0,)),
    Clip(name="turning, no noise", faces=(0,), noise=0.0),
    Clip(name="24 a second", faces=(1,), rate=24),
    Clip(name="60 a second", faces=(2,), rate=60),
    Clip(name="variable rate", faces=(3,), varies=True),
    Clip(name="a cut", faces=(1, 3), cuts=True),
    Clip(name="two people", faces=(0, 2), together=True),
    Clip(name="a hand passes", faces=(4,), hand=True),
)


class Portraits:
    """Portraits turned to any yaw, each pose drawn once.

    Args:
        photos: files.
    """

    def __init__(self, photos: list[Path]) -> None:
        pictures = [load_image(photo).pixels for photo in photos]
        self._pictures = [geometry.resize_by(pixels, HEIGHT / len(pixels)) for pixels in pictures]
        self._reenactor, self._turned = Reenactor.load(), dict[tuple[int, float], Pixels]()

    def __len__(self) -> int:
        return len(self._pictures)

    def turned(self, number: int, yaw: float) -> Pixels:
        """A portrait turned by about so many degrees."""
        key = (number, TURN_STEP * round(yaw / TURN_STEP))
        if key not in self._turned:
            picture = self._pictures[number]
            face = self._reenactor.find(Image(pixels=picture), "largest")[0]
            target = Target(yaw=face.pose_degrees[0] + key[1])
            self._turned[key] = self._reenactor.reenact(picture, target, face=face).image.pixels
        return self._turned[key]


def make_clip(portraits: Portraits, clip: Clip, path: Path, num_frames: int) -> None:
    """Writes a clip with sound."""
    random = np.random.default_rng(0)
    base = Fraction(1, 90000)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=clip.rate, options={"crf": "14", "preset": "fast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = video.codec_context.time_base = base
        sound = container.add_stream("aac", rate=SOUND_RATE)
        ticks = 0
        for number in range(num_frames):
            seconds = float(ticks * base)
            frame = av.VideoFrame.from_ndarray(
                draw_frame(portraits, clip, number / num_frames, seconds, random), "rgb24"
            )
            frame.pts, frame.time_base = ticks, base
            container.mux(video.encode(frame))
            ticks += round(90000 / clip.rate * (1 + 0.5 * (number % 3 == 1) if clip.varies else 1))
        container.mux(video.encode(None))
        for first in range(0, round(SOUND_RATE * float(ticks * base)), 1024):
            wave = 0.3 * np.sin(np.arange(first, first + 1024) * 0.05)
            heard = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            heard.sample_rate, heard.pts = SOUND_RATE, first
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))


def draw_frame(
    portraits: Portraits, clip: Clip, progress: float, seconds: float, random: np.random.Generator
) -> Pixels:
    """One frame (720, 1280, 3) at a time, which is a share of the clip."""
    yaw = TURN_DEGREES * math.sin(2 * math.pi * seconds / 2.4)
    face = clip.faces[1] if clip.cuts and progress >= 0.5 else clip.faces[0]
    moved = place(portraits.turned(face % len(portraits), yaw), seconds, WIDTH / 2)
    if clip.together:
        left, right = (
            place(portraits.turned(one % len(portraits), turn), seconds, WIDTH / 4)[:, : WIDTH // 2]
            for one, turn in zip(clip.faces, (yaw, -yaw), strict=True)
        )
        moved = np.hstack([left, right])
    if clip.hand:
        moved = draw_hand(moved, progress)
    light = 1 + 0.25 * math.sin(math.pi * seconds) * np.linspace(-1, 1, WIDTH, dtype=np.float32)
    noisy = moved * light[None, :, None] + random.normal(0, clip.noise, moved.shape)
    return np.clip(noisy.round(), 0, 255).astype(np.uint8)


def place(pixels: Pixels, seconds: float, centre: float) -> Pixels:
    """(720, 1280, 3) a portrait moved by a hand-held camera."""
    height, width = pixels.shape[:2]
    angle = math.radians(4 * math.sin(2 * math.pi * seconds / 2.1))
    scale = 1 + 0.04 * math.sin(2 * math.pi * seconds / 3)
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    at = np.array([centre + 60 * math.sin(2 * math.pi * seconds / 2.5), HEIGHT / 2])
    matrix = np.hstack([turn, (at - turn @ np.array([width / 2, height / 2]))[:, None]])
    return geometry.warp(pixels, matrix, HEIGHT, WIDTH)


def hand_mask(progress: float) -> Plane:
    """(720, 1280) 1 where the hand is at a share of the clip: a palm and four fingers that cross the frame."""
    x, y = np.moveaxis(geometry.pixel_grid(HEIGHT, WIDTH), -1, 0)
    left = WIDTH * (1.1 * progress - 0.05)
    palm = ((x - left) / 70) ** 2 + ((y - 520) / 85) ** 2 < 1
    for finger in range(4):
        across = left - 51 + 34 * finger
        palm |= (np.abs(x - across) < 15) & (y > 330 + 12 * abs(finger - 1.5)) & (y < 520)
    return palm.astype(np.float32)


def draw_hand(pixels: Pixels, progress: float) -> Pixels:
    """The frame with a hand in the colour of the face's cheeks, lit from above."""
    mask = geometry.blur(hand_mask(progress), 1.5)[..., None]
    skin = np.median(pixels[380:440, WIDTH // 2 - 90 : WIDTH // 2 + 90].reshape(-1, 3), 0)
    shade = np.linspace(1.08, 0.85, HEIGHT)[:, None, None]
    texture = geometry.blur(np.random.default_rng(3).normal(0, 12, (HEIGHT, WIDTH)).astype(np.float32), 1.2)[..., None]
    return (pixels * (1 - mask) + np.clip(skin * shade + texture, 0, 255) * mask).astype(np.uint8)


def age_one_by_one(reager: Reager, clip: Path, age: float, age_from: float, path: Path) -> None:
    """Ages every frame like a photo."""
    source = probe_video(clip)
    encoding = choose_encoding(source, path)
    encoder, pts = None, []
    for frame in FrameReader(source):
        encoder = encoder or SegmentEncoder(source, encoding, frame.picture)
        before = np.asarray(to_rgb(frame.picture, source), np.uint8)
        after = reager(before, Plan(age=age, age_from=age_from)).image.pixels
        box = (0, len(after), 0, after.shape[1])
        encoder.add(write_change(frame.picture, after, box, source, encoding.pixel_format))
        pts.append(frame.pts)
    assert encoder is not None
    segment = path.with_suffix(".packets")
    encoder.finish(segment)
    mux(source, encoding, MuxedFrames(segments=[segment], pts=pts), path)


def read_sound(path: Path) -> list[tuple[int | None, bytes]]:
    """Time stamp and bytes of each packet of sound."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


def read_photo(reager: Reager, pixels: Pixels, age: float) -> float:
    """Age read on a frame that is aged as a photo."""
    estimator = AgeEstimator.load("age-b")
    aged = reager(pixels, Plan(age=age), faces="largest").image.pixels
    return float(estimator.measure(reager.finder.find(aged)[0]).age_years)


def measure_hand(clip: Path, aged: Path, num_frames: int) -> float:
    """Mean change, grey levels, of the part of the hand that lies before the face: 0 where it is left as it is."""
    found = follow_faces(probe_video(clip)).tracks
    changes = []
    for before, after in zip(FrameReader(probe_video(clip)), FrameReader(probe_video(aged)), strict=True):
        mask = hand_mask(before.number / num_frames) > 0.5
        for track in found:
            if track.first <= before.number <= track.last:
                outline = track.meshes[before.number - track.first][:, :2]
                mask_here = mask & (geometry.fill_polygon(outline, HEIGHT, WIDTH) > 0)
                if mask_here.sum() > 500:
                    one, other = (
                        geometry.blur(frame.picture.to_ndarray(format="gray").astype(np.float32), 1.0)
                        for frame in (before, after)
                    )
                    changes.append(float(np.abs(one - other)[mask_here].mean()))
    return float(np.mean(changes)) if changes else float("nan")


def measure(portraits: Portraits, clip: Clip, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The numbers of one clip."""
    path, aged, single = (folder / f"{name}.mp4" for name in ("clip", "aged", "single"))
    num_frames = round(given.frames * clip.rate / 30)
    make_clip(portraits, clip, path, num_frames)
    ager = VideoReager(Reager())
    started, cpu = time.perf_counter(), time.process_time()
    outcome = ager.age(path, VideoOrder(plan=Plan(age=given.to)), aged)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - started
    survey = follow_faces(probe_video(path))
    seen = {frame for track in survey.tracks for frame in track.frames}
    row = {
        "clip": clip.name,
        "frames": outcome.num_frames,
        "seen": len(seen),
        "aged": outcome.num_aged,
        "people": len(outcome.people),
        "same_sound": read_sound(path) == read_sound(aged),
        "cpu_seconds_per_frame": round(cpu / outcome.num_frames, 3),
        "frames_per_second": round(outcome.num_frames / wall, 2),
        "video": {key: value for key, value in judge_video(path, aged).to_json().items() if key != "readings"},
        "photo_years": round(read_photo(ager.reager, ager_frame(path, outcome.people[0].best), given.to), 1),
    }
    if clip.hand:
        row["hand_levels"] = round(measure_hand(path, aged, num_frames), 2)
    if given.baseline and clip.rate == 30 and len(clip.faces) == 1 and not clip.hand:
        age_one_by_one(ager.reager, path, given.to, outcome.people[0].reading.age_years, single)
        row["one_by_one"] = {k: v for k, v in judge_video(path, single).to_json().items() if k != "readings"}
    for one in (path, aged):
        one.unlink()
    return row


def ager_frame(path: Path, number: int) -> Pixels:
    """A frame of a clip."""
    source = probe_video(path)
    frame = next(one for one in FrameReader(source) if one.number == number)
    return np.asarray(to_rgb(frame.picture, source), np.uint8)


def to_markdown(rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """The table of all clips."""
    names = (
        "clip",
        "frames",
        "with a face",
        "aged",
        "times",
        "sound",
        "flicker",
        "frame by frame",
        "noise",
        "age",
        "photo",
    )
    lines = [f"| {' | '.join((*names, 'CPU s a frame'))} |", "|" + "---|" * (len(names) + 1)]
    for row in rows:
        own = row["video"]
        face = own["face"]
        single = f"{row['one_by_one']['face']['flicker_levels']:.2f}" if "one_by_one" in row else ""
        kept = ("same" if own["same_times"] else "differ", "same" if row["same_sound"] else "differs")
        age = f"{own['aged_years']:.1f} ± {own['aged_years_spread']:.1f}"
        cells = (row["clip"], row["frames"], row["seen"], row["aged"], *kept, f"{face['flicker_levels']:.2f}", single)
        more = (f"{face['source_noise_levels']:.2f}", age, row["photo_years"], row["cpu_seconds_per_frame"])
        lines.append(f"| {' | '.join(str(cell) for cell in (*cells, *more))} |")
    hands = [row["hand_levels"] for row in rows if "hand_levels" in row]
    return "\n".join(
        (
            "# Video",
            "",
            f"Clips of {given.frames / 30:.1f} s, 1280 x 720 px, of portraits of openpeople and of the US Congress",
            f"that turn, move and are lit differently, aged to {given.to:g}. Made and measured by",
            "`python benchmarks/video.py clips`. Flicker of the change on skin and noise of the source in grey levels,",
            "see [video](../docs/video.md); *frame by frame* is the flicker of frames that are aged as photos. Age is",
            "read over the clip, mean and spread, by a net from which no engine learned; *photo* is that reading of",
            "the best frame, aged as a photo. CPU seconds hold finding, learning, ageing and writing.",
            "",
            *lines,
            "",
            *(f"The hand before the face changes by {levels:.1f} grey levels." for levels in hands),
            "",
        )
    )


# Speed and memory


class _Clock:
    """CPU and wall seconds of parts of the work, of all threads together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose CPU seconds in its own thread are added up."""

        def timed(*given: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*given, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.thread_time() - started

        return timed


def measure_speed(portraits: Portraits, folder: Path, given: argparse.Namespace) -> None:
    """Prints frames a second with and without writing, and the CPU of each part."""
    import reage.video.aging as aging

    path = folder / "clip.mp4"
    make_clip(portraits, CLIPS[0], path, given.frames)
    clock, source = _Clock(), probe_video(path)
    for name in ("to_rgb", "look_at", "make_face", "composite_into", "write_change"):
        setattr(aging, name, clock.wrap(name, getattr(aging, name)))
    ager = VideoReager(Reager())
    ager.find_people(source, 0.2)
    clock.seconds.clear()
    rows: list[tuple[str, float, float]] = []
    last = [time.perf_counter(), time.process_time()]

    def lap(name: str) -> None:
        now = [time.perf_counter(), time.process_time()]
        rows.append((name, now[0] - last[0], now[1] - last[1]))
        last[:] = now

    survey, people = ager.find_people(source)
    lap("find")
    film = Film(ager, source, survey, people, VideoOrder(plan=Plan(age=given.to)))
    next(film.render(range(len(survey.pts) - 1, len(survey.pts)), "yuv420p"))
    lap("learn")
    clock.seconds.clear()
    total = sum(1 for _ in film.render(range(len(survey.pts)), "yuv420p"))
    lap("age")
    parts = dict(clock.seconds)
    ager.age(path, VideoOrder(plan=Plan(age=given.to)), folder / "aged.mp4")
    lap("all, with writing")
    for name, wall, cpu in rows:
        print(f"{name:18} {total / wall:7.2f} frames/s  {cpu / total:.4f} CPU s a frame")
    without = sum(wall for name, wall, _ in rows[:3])
    print(f"{'all but writing':18} {total / without:7.2f} frames/s")
    for name, cpu in sorted(parts.items(), key=lambda one: -one[1]):
        print(f"  {name:16} {cpu / total:.4f} CPU s a frame, in its own thread")


def loop_clip(clip: Path, path: Path, num_frames: int) -> None:
    """Writes a clip forth and back until it has so many frames."""
    with av.open(str(clip)) as source:
        frames = [frame.to_ndarray(format="yuv420p") for frame in source.decode(video=0)]
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=30, options={"crf": "20", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(frames[order[number % len(order)]], format="yuv420p")
            made.mux(video.encode(frame))
        made.mux(video.encode(None))


def measure_memory(portraits: Portraits, folder: Path, given: argparse.Namespace) -> None:
    """Prints the memory of this process while a long clip is aged in another."""
    import multiprocessing

    clip, path = folder / "clip.mp4", folder / "long.mp4"
    make_clip(portraits, CLIPS[0], clip, 72)
    loop_clip(clip, path, given.frames)
    worker = multiprocessing.get_context("spawn").Process(target=age_and_show, args=(path, given.to, given.frames))
    worker.start()
    worker.join()


def age_and_show(path: Path, age: float, num_frames: int) -> None:
    """Ages a clip, and prints the memory of this process at some frames."""
    marks = {
        (step, count) for step in ("find", "render") for count in (100, 200, 500, 1000, 2000, 3000, 6000, num_frames)
    }

    def show(step: str, done: int, _: int) -> None:
        if (step, done) in marks:
            print(f"{step} {done}: {read_status('VmRSS'):.0f} MB, most {read_status('VmHWM'):.0f} MB", flush=True)

    VideoReager(Reager()).age(path, VideoOrder(plan=Plan(age=age)), path.with_name("aged.mp4"), progress=show)
    print(f"all: most {read_status('VmHWM'):.0f} MB", flush=True)


def read_status(name: str) -> float:
    """A size in /proc/self/status, MB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def run_clips(portraits: Portraits, folder: Path, given: argparse.Namespace) -> None:
    """Measures all clips, or those that are named."""
    rows = []
    for clip in CLIPS:
        if given.only and clip.name not in given.only:
            continue
        rows.append(measure(portraits, clip, folder, given))
        print(json.dumps(rows[-1]), flush=True)
        given.output.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        if given.write is not None:
            given.write.write_text(to_markdown(rows, given), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("clips", "speed", "memory"))
    parser.add_argument("portraits", type=Path, nargs="+", help="photos of one face each; five for all clips")
    parser.add_argument("--frames", type=int, default=36, help="of a clip at 30 frames a second")
    parser.add_argument("--to", type=float, default=75.0)
    parser.add_argument("--only", action="append", help="name of a clip")
    parser.add_argument("--baseline", action="store_true", help="age frame by frame as well, where it takes minutes")
    parser.add_argument("-o", "--output", type=Path, default=Path("video.json"))
    parser.add_argument("--write", type=Path, help="file of the table")
    given = parser.parse_args()
    run = {"clips": run_clips, "speed": measure_speed, "memory": measure_memory}[given.what]
    with TemporaryDirectory() as folder:
        run(Portraits(given.portraits), Path(folder), given)


if __name__ == "__main__":
    main()
