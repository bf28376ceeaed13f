"""One server with one worker for all tests of the API, and a photo of one face."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import skimage.data
from starlette.testclient import TestClient

from reage.images import Image, encode_image, geometry
from reage.server.app import build_app
from reage.server.config import Limits, ServerConfig
from reage.types import Pixels

LIMITS = Limits(megabytes=2, megapixels=0.5, num_faces=1, seconds=60, requests_per_minute=10_000)
ADDRESS = "http://127.0.0.1:7860"


def make_portrait() -> Pixels:
    """(256, 256, 3) head and shoulders out of the demo photo."""
    return skimage.data.astronaut()[:256, 96:352].copy()


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """The bytes of a file that shows pixels."""

    def encode_pixels(pixels: Pixels, suffix: str = ".png") -> bytes:
        return encode_image(Image(pixels=pixels), suffix, altered=False)

    return encode_pixels


@pytest.fixture(scope="session")
def portrait() -> Pixels:
    return make_portrait()


@pytest.fixture(scope="session")
def me(encode, portrait) -> bytes:
    """A PNG with one face."""
    return encode(portrait)


@pytest.fixture(scope="session")
def pair(encode, portrait) -> bytes:
    """A PNG with two faces, the second smaller: one more than the server allows."""
    smaller = np.full_like(portrait, portrait[0, 0])
    smaller[20:220, 20:220] = geometry.resize(portrait, 200, 200)
    return encode(np.hstack([portrait, smaller]))


@pytest.fixture(scope="session")
def config() -> ServerConfig:
    return ServerConfig(with_page=False, limits=LIMITS)


@pytest.fixture(scope="module")
def client(config) -> Iterator[TestClient]:
    """A client of the running application, whose worker process ends with the tests of the file."""
    with TestClient(build_app(config), base_url=ADDRESS) as running:
        yield running
