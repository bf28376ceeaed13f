"""Requests with an Idempotency-Key: the same request again gets the same answer, and is not worked on again."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from reage.server.config import Limits
from reage.server.guard import Refused

MAX_KEY_CHARACTERS = 255


@dataclass(kw_only=True)
class _Kept:
    fingerprint: bytes
    kept_at: float
    response: Response | None = None


class RepeatedRequests:
    """Keeps the answers that a key asks to be kept, in memory.

    Args:
        limits: how many, and for how long.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def answer(
        self, key: str | None, parts: tuple[object, ...], make: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The answer that is kept under a key, or a new one, which is kept when it is a success.

        Args:
            key: of the request; None for a request whose answer is not kept.
            parts: all that the answer depends on.
            make: makes the answer.

        Raises:
            Refused: when the key is too long (400), belongs to another request (422), or to one that is not finished
                yet (409).
        """
        if key is None:
            return await make()
        if not 0 < len(key) <= MAX_KEY_CHARACTERS:
            raise Refused(
                400, "key", f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters; send a shorter one."
            )
        fingerprint = await asyncio.to_thread(_hash, parts)
        self._forget()
        kept = self._kept.get(key)
        if kept is None:
            return await self._make(key, fingerprint, make)
        if kept.fingerprint != fingerprint:
            raise Refused(422, "key", "This Idempotency-Key belongs to another request; send a new one.")
        if kept.response is None:
            raise Refused(409, "key", "The request of this Idempotency-Key is still worked on; wait for its answer.")
        return kept.response

    async def _make(self, key: str, fingerprint: bytes, make: Callable[[], Awaitable[Response]]) -> Response:
        kept = self._kept[key] = _Kept(fingerprint=fingerprint, kept_at=time.monotonic())
        try:
            kept.response = await make()
        finally:
            if kept.response is None:
                self._kept.pop(key, None)
        return kept.response

    def _forget(self) -> None:
        """Drops answers that are too old or too many; those that are being made stay."""
        oldest = time.monotonic() - self._limits.kept_seconds
        done = [key for key, kept in self._kept.items() if kept.response is not None]
        surplus = max(0, len(self._kept) - self._limits.kept_answers + 1)
        for number, key in enumerate(done):
            if number < surplus or self._kept[key].kept_at < oldest:
                del self._kept[key]


def _hash(parts: tuple[object, ...]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()
