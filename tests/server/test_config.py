"""Where a server may listen, and what a token is."""

from __future__ import annotations

import pytest

from reage.errors import ReageError
from reage.server.config import ServerConfig, find_num_workers, read_token


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(host) -> None:
    assert ServerConfig(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "photos.example"])
def test_other_interfaces_need_one(host) -> None:
    with pytest.raises(ReageError, match=r"needs a token; add --token FILE"):
        ServerConfig(host=host)
    assert not ServerConfig(host=host, token="x" * 16).is_loopback


def test_a_token_is_one_long_word(tmp_path) -> None:
    file = tmp_path / "token.txt"
    file.write_text("0123456789abcdef\n")
    assert read_token(file) == "0123456789abcdef"
    for text in ("short", "two words that are long", "", "ääääääääääääääääää"):
        file.write_text(text)
        with pytest.raises(ReageError, match=r"token"):
            read_token(file)
    with pytest.raises(ReageError, match="cannot be read"):
        read_token(tmp_path / "missing")


def test_the_token_and_the_key_are_not_printed() -> None:
    assert "secret" not in repr(ServerConfig(token="secret-secret-secret"))


def test_there_is_a_worker() -> None:
    assert find_num_workers() >= 1
