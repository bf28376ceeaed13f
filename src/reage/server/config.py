"""The settings of the server: where it listens, who may use it, and what it refuses."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from reage.engines import DEFAULT_ENGINE, ENGINES, TORCH_ENGINES
from reage.errors import ReageError
from reage.processes import count_cores
from reage.provenance import Credentials

MIN_TOKEN_CHARACTERS = 16
_MB_PER_WORKER = 2000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the server refuses; every refusal has a status and a sentence.

    Args:
        megabytes: of one request, its forms and files together (413).
        megapixels: of one photo, all its frames together (422).
        num_faces: in one photo (422).
        num_photos: of a request of the page: references, or photos of a batch (422).
        requests_per_minute: of one address (429).
        queue_length: requests that wait for a worker (503).
        seconds: that a request may wait and work (504).
        body_seconds: in which a request must have arrived (408).
        memory_gb: of addresses beyond the loaded program that a worker may take (422); Linux only.
        kept_answers: that an Idempotency-Key may ask to be kept.
        kept_seconds: for how long; as long as the result of a job that nobody fetches.
        job_megabytes: of the file of a job (413).
        job_body_seconds: in which the request of a job must have arrived (408).
        num_jobs: that wait, are worked on, or whose result is kept (503).
        job_photos: in a zip (422).
        job_frames: of a video (422).
        job_seconds: of work on one job (504).
    """

    megabytes: float = 32.0
    megapixels: float = 50.0
    num_faces: int = 16
    num_photos: int = 20
    requests_per_minute: int = 240
    queue_length: int = 16
    seconds: float = 120.0
    body_seconds: float = 30.0
    memory_gb: float = 4.0
    kept_answers: int = 32
    kept_seconds: float = 600.0
    job_megabytes: float = 256.0
    job_body_seconds: float = 300.0
    num_jobs: int = 8
    job_photos: int = 200
    job_frames: int = 20_000
    job_seconds: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """How a server runs.

    Args:
        host: address or name of the interface.
        port: of TCP.
        token: that every request but /health must carry; None for none, on loopback only.
        engine: that each worker loads at its start.
        device: of the engines.
        num_workers: processes that decode and age.
        num_threads: that each computes with.
        limits: what is refused.
        credentials: with which pictures are signed; None leaves them unsigned.
        with_page: whether there is a page for people.

    Raises:
        ReageError: for another interface than loopback without a token.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    token: str | None = field(default=None, repr=False)
    engine: str = DEFAULT_ENGINE
    device: str = "cpu"
    num_workers: int = 1
    num_threads: int = 1
    limits: Limits = field(default_factory=Limits)
    credentials: Credentials | None = field(default=None, repr=False)
    with_page: bool = True

    def __post_init__(self) -> None:
        if self.token is None and not self.is_loopback:
            raise ReageError(
                f"Others can reach '{self.host}', so it needs a token; add --token FILE, or use --host 127.0.0.1."
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this computer can reach the interface."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that a request may name: those without torch, and that of the server."""
        return tuple(name for name in ENGINES if name not in TORCH_ENGINES or name == self.engine)


def read_token(path: Path) -> str:
    """The token in a file: one line of at least `MIN_TOKEN_CHARACTERS` visible ASCII characters.

    Raises:
        ReageError: when the file cannot be read, or its token is too short or has other characters.
    """
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise ReageError(f"The token file '{path}' cannot be read; give a text file of one line.") from error
    if len(token) < MIN_TOKEN_CHARACTERS or not all("!" <= character <= "~" for character in token):
        raise ReageError(
            f"The token in '{path}' must be one word of at least {MIN_TOKEN_CHARACTERS} characters; make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe())' > token.txt`."
        )
    return token


def find_num_workers() -> int:
    """One worker for every two cores, as far as the memory of this computer allows; one at least."""
    try:
        mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (AttributeError, ValueError, OSError):  # on Windows
        mb = _MB_PER_WORKER
    return max(1, min(count_cores() // 2, mb // _MB_PER_WORKER))
