"""`reage serve`: what is refused before it listens, and that it stops when it is asked to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.cli.commands import call

pytest.importorskip("fastapi")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--host", "0.0.0.0"), "needs a token"),
        (("--token", "missing.txt"), "cannot be read"),
        (("--engine", "nothing"), "no engine 'nothing'"),
        (("--sign", "cert.pem"), "--sign needs --key"),
        (("--device", "nothing"), "nothing"),
    ],
)
def test_a_bad_option_is_refused_in_a_sentence(arguments, word) -> None:
    done = call("serve", *arguments)
    assert done.exit_code == 2, done.output
    assert word in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_answers_and_stops_without_leaving_anything(tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reage", "serve", "--api-only", "--port", str(port), "--workers", "1"]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    ) as server:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                    assert b'"ok"' in answer.read()
                break
            except OSError:
                time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=30)[1]
    assert "Traceback" not in said
    assert f"http://127.0.0.1:{port}/" in said
    assert list(tmp_path.iterdir()) == []
