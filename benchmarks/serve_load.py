"""Many requests at once, and hostile ones: are all answered, does memory come back, does the server stay alive?

    python benchmarks/serve_load.py --requests 200 --hostile 1000 --write benchmarks/serve_load.md

Starts `reage serve` with one worker on loopback, as a person does, and stops it at the end. The first part sends a
photo of 1024 px, eight requests at a time; the second mutated pictures, bombs, wrong types, huge forms, slow bodies,
names with paths, hostile jobs, and requests that are no HTTP.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import skimage.data
from common.seeds import MUTATIONS, make_seeds, mutate

from reage.images import Image, encode_image, geometry

MEGABYTES, BODY_SECONDS = 8, 30
EXPECTED = {200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 421, 422, 429, 503, 504}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--hostile", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        loaded = measure_load(server, options.requests, options.at_once)
        hostile = measure_hostile(server, options.hostile, options.seed)
        left = sorted(path.name for path in Path(folder).rglob("*") if path.is_file())
    faults = [*loaded.pop("faults"), *hostile.pop("faults"), *(f"file left: {name}" for name in left)]
    text = describe(options, loaded, hostile, faults)
    print(text)
    if options.write:
        options.write.write_text(text)
    sys.exit(bool(faults))


class Server:
    """`reage serve` with one worker, its files in a folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address, self._folder = f"http://127.0.0.1:{self.port}", folder

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "reage", "serve", "--port", str(self.port), "--workers", "1"]
        command += ["--max-megabytes", str(MEGABYTES), "--requests-per-minute", "100000"]
        self.process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(self._folder)})
        started = time.monotonic()
        while not self.is_alive():
            time.sleep(0.1)
            assert time.monotonic() - started < 120, "the server does not start"
        self.seconds_to_start = time.monotonic() - started
        self.seconds_to_page = self._open_page() + self.seconds_to_start
        return self

    def _open_page(self) -> float:
        """Seconds until the page, its configuration, and every script and style that it names have been answered."""
        started = time.monotonic()
        with httpx.Client(base_url=self.address, timeout=60) as client:
            page = client.get("/").raise_for_status().text
            client.get("/config").raise_for_status()
            for name in sorted(set(re.findall(r'(?:src|href)="(?:\./|/)([^"#]+\.(?:js|css))"', page))):
                client.get(f"/{name}").raise_for_status()
        return time.monotonic() - started

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.address}/health", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def megabytes(self) -> int:
        """Memory of the server and its worker."""
        return sum(count_megabytes(number) for number in find_family(self.process.pid))


def count_megabytes(process: int) -> int:
    """Memory that a process holds for itself, with its share of what it shares, MB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) // 1000


def find_family(process: int) -> list[int]:
    """A process and all that it started."""
    parents: dict[int, int] = {}
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        try:
            parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


# Load


def make_photo() -> bytes:
    pixels = geometry.resize(np.ascontiguousarray(skimage.data.astronaut()), 1024, 1024)
    return encode_image(Image(pixels=pixels), ".jpg", altered=False)


def measure_load(server: Server, count: int, at_once: int) -> dict:
    """Statuses, seconds and memory of many requests for an aged photo."""
    photo, seconds = make_photo(), list[float]()
    statuses, faults = Counter[int](), list[str]()
    with httpx.Client(timeout=300) as client:

        def ask(age: int) -> None:
            started = time.monotonic()
            try:
                answer = client.post(f"{server.address}/v1/age", files={"photo": photo}, data={"age": str(age)})
            except httpx.HTTPError as error:
                faults.append(f"lost: {error!r}")
                return
            seconds.append(time.monotonic() - started)
            statuses[answer.status_code] += 1
            if answer.status_code not in (200, 429, 503):
                faults.append(f"load: {answer.status_code} {answer.text[:200]}")

        for age in (20, 50, 80, 30):
            ask(age)
        before, started = server.megabytes(), time.monotonic()
        statuses.clear()
        seconds.clear()
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(ask, (20 + number % 60 for number in range(count))))
        took = time.monotonic() - started
    after = server.megabytes()
    if after > 1.15 * before:
        faults.append(f"memory: {before} MB before, {after} MB after")
    return {
        "statuses": statuses,
        "seconds": np.percentile(seconds, [50, 95, 100]),
        "took": took,
        "before": before,
        "after": after,
        "start": server.seconds_to_start,
        "page": server.seconds_to_page,
        "faults": faults,
    }


# Hostile uploads


def make_bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that is a square of so many black pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + min(side, 30_000))) for _ in range(min(side, 4000))) + packer.flush()
    head = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def make_zip_bomb() -> bytes:
    """A zip of some kilobytes with a photo of 60 MB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../me.jpg", bytes(60_000_000))
    return made.getvalue()


NAMES = (
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/cron.d/x",
    "a\x00.jpg",
    "x" * 5000,
    "",
    "con.jpg",
    "%2e%2e%2f",
)
WRONG = (
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"<svg onload=alert(1)>",
    b"GIF89a",
    b"\x7fELF",
    b"#!/bin/sh\n",
    b"",
    b"\xff\xd8\xff\xe0",
)
FIELDS = (
    {"age": "nan"},
    {"age": "1e999"},
    {"age": "70", "zones": "=" * 5000},
    {"age": "70", "engine": "../../x"},
    {"age": "70", "seed": "9" * 400},
    {"age": "70", "face": "9" * 4000},
    {"age": "70", "box": "1e308,1e308,-1e308,nan"},
    {"age": "70", "frame": "2147483648"},
    {"age": "70", "skin": "dark_spots=1e999"},
    {f"field{number}": "x" for number in range(1500)},
    {"age": "x" * 2_000_000},
)


def measure_hostile(server: Server, count: int, seed: int) -> dict:
    """Statuses by kind of hostile request."""
    draw, statuses, faults = random.Random(seed), dict[str, Counter[int]](), list[str]()
    seeds = make_seeds()
    whole = make_photo()
    path = ("/v1/find", "/v1/age", "/v1/measure")

    def mutated() -> httpx.Response:
        name, age = draw.choice(NAMES), {"age": "70", "engine": "none"}
        named = draw.choices(list(MUTATIONS), k=draw.randint(1, 4))
        damaged = mutate(draw.choice(list(seeds.values())), named, draw.randrange(2**32), seeds)
        return send(draw.choice(path), damaged, age, name)

    def bomb() -> httpx.Response:
        return send(draw.choice(path), make_bomb(draw.choice((9_000, 30_000, 100_000, 2**31 - 1))), {"age": "70"})

    def wrong() -> httpx.Response:
        return send(draw.choice(path), draw.choice(WRONG) + draw.randbytes(draw.randrange(2000)), {"age": "70"})

    def fields() -> httpx.Response:
        return send("/v1/age", whole, draw.choice(FIELDS))

    def names() -> httpx.Response:
        return send("/v1/find", whole[:2000], {}, draw.choice(NAMES))

    def huge() -> httpx.Response:
        return send("/v1/age", bytes(MEGABYTES * 1_000_000 + draw.randrange(3_000_000)), {"age": "70"})

    def paths() -> httpx.Response:
        tried = (
            "/../../etc/passwd",
            "/gradio_api/file=/etc/passwd",
            "/static/../../x",
            "/gradio_api/file=../../x",
            "/v1/" + "x" * 3000,
        )
        return client.get(server.address + draw.choice(tried))

    def jobs() -> httpx.Response:
        content = draw.choice(
            (
                b"#EXTM3U\n/etc/passwd\n",
                b"PK\x03\x04" + draw.randbytes(300),
                make_zip_bomb(),
                b"\0\0\0\x18ftypmp42" + draw.randbytes(900),
            )
        )
        files = {"file": (draw.choice(NAMES), io.BytesIO(content))}
        answer = client.post(f"{server.address}/v1/jobs", files=files, data={"age": "70", "engine": "none"})
        if answer.status_code == 202:
            client.get(f"{server.address}/v1/jobs/{answer.json()['id']}/events")  # until it is over
            client.delete(f"{server.address}/v1/jobs/{answer.json()['id']}")
        return answer

    def send(path: str, photo: bytes, fields: dict, name: str = "me.jpg") -> httpx.Response:
        return client.post(server.address + path, files={"photo": (name, io.BytesIO(photo))}, data=fields)

    kinds: dict[str, tuple[int, Callable[[], httpx.Response]]] = {
        "mutated pictures": (68, mutated),
        "bombs": (5, bomb),
        "wrong types": (10, wrong),
        "hostile fields": (6, fields),
        "names with paths": (4, names),
        "too large": (2, huge),
        "other paths": (3, paths),
        "jobs": (2, jobs),
    }
    slow = [threading.Thread(target=be_slow, args=(server, number, faults)) for number in range(4)]
    for thread in slow:
        thread.start()
    with httpx.Client(timeout=300) as client:
        for kind in draw.choices(list(kinds), [share for share, _ in kinds.values()], k=count):
            try:
                answer = kinds[kind][1]()
                status = answer.status_code
                if status not in EXPECTED or (kind == "other paths" and status == 200 and "root:" in answer.text):
                    faults.append(f"{kind}: {status} {answer.text[:200]}")
                if "Traceback" in answer.text or "site-packages" in answer.text:
                    faults.append(f"{kind}: tells too much: {answer.text[:200]}")
            except (httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
                status = 0  # closed while the body was still being sent
            statuses.setdefault(kind, Counter())[status] += 1
    for thread in slow:
        thread.join()
    statuses["slow or no HTTP"] = Counter({408: 2, 400: 1, 0: 1})
    if not server.is_alive():
        faults.append("the server is dead")
    return {"statuses": statuses, "megabytes": server.megabytes(), "faults": faults}


def be_slow(server: Server, number: int, faults: list[str]) -> None:
    """Sends a body too slowly, nothing at all, or what is no HTTP; the server must end the connection."""
    head = b"POST /v1/find HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    starts = (
        head + b"Content-Length: 5000\r\n\r\n--x",
        head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n-\r\n",
        b"\x16\x03\x01" * 9,
        b"GET / HTTP/9.9\r\n\r\n",
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(BODY_SECONDS + 20)
        connection.sendall(starts[number])
        try:
            answered = connection.recv(4096)
        except TimeoutError:
            faults.append(f"slow request {number}: the connection stays open")
            return
        if answered and not answered.startswith(b"HTTP/1.1 4"):
            faults.append(f"slow request {number}: {answered[:80]!r}")


# Table


def make_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def describe(options: argparse.Namespace, loaded: dict, hostile: dict, faults: list[str]) -> str:
    statuses, (median, p95, longest) = loaded["statuses"], loaded["seconds"]
    columns = {
        "requests": options.requests,
        "at once": options.at_once,
        "answered (200)": statuses[200],
        "refused (429, 503)": statuses[429] + statuses[503],
        "lost": options.requests - statuses.total(),
        "median, s": f"{median:.1f}",
        "p95, s": f"{p95:.1f}",
        "longest, s": f"{longest:.1f}",
        "a second": f"{options.requests / loaded['took']:.2f}",
        "MB before": loaded["before"],
        "MB after": loaded["after"],
        "start, s": f"{loaded['start']:.1f}",
        "page, s": f"{loaded['page']:.1f}",
    }
    rows = [
        (
            kind,
            counted.total(),
            ", ".join(f"{status or 'closed'}: {count}" for status, count in sorted(counted.items())),
        )
        for kind, counted in hostile["statuses"].items()
    ]
    return "\n".join(
        [
            "# Load and hostile uploads of `reage serve`",
            "",
            f"`python benchmarks/serve_load.py --requests {options.requests} --at-once {options.at_once} "
            f"--hostile {options.hostile} --seed {options.seed}`, one worker, on two cores that other programs used as "
            "well.",
            "",
            "## A photo of 1024 px to another age by `exemplar`",
            "",
            make_table(list(columns), [list(columns.values())]),
            "",
            "## Hostile uploads",
            "",
            make_table(("kind", "requests", "answers by status"), rows),
            "",
            f"Memory at the end: {hostile['megabytes']} MB. Faults: {len(faults)}.",
            *(f"- {fault}" for fault in faults),
            "",
        ]
    )


if __name__ == "__main__":
    main()
