"""Ray itself: workers that are lost, graphics cards, loopback, Ctrl-C. All tests share two starts of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from reage.cluster import ClusterRun, Place, RayPool
from reage.errors import EngineError, ReageError
from tests.cluster.accidents import CRASH, FINE, encode_photo, load_accidents

pytest.importorskip("ray")
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

NODE = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a Ray with two cores and what it takes for a graphics card."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    yield cluster.address
    cluster.shutdown()


def test_photos_that_end_workers_do_not_end_the_run(
    address: str, tmp_path: Path, make_run: Callable[..., ClusterRun]
) -> None:
    places = Place(str(tmp_path / "photos")), Place(str(tmp_path / "aged"))
    for number, accident in enumerate((FINE, FINE, CRASH, FINE, FINE)):
        places[0].write(f"{number}.png", encode_photo(accident, number))
    pool = RayPool(address=address, device="auto")
    run = make_run(places, pool=pool, load=partial(load_accidents, tmp_path), pictures_per_block=4)
    outcomes = {Path(outcome.source).stem: outcome for outcome in run}
    assert {name for name, outcome in outcomes.items() if outcome.status == "aged"} == set("0134")
    assert outcomes["2"].reason.startswith("3 workers ended while they aged it")
    assert (pool.uses_cards, pool.num_workers) == (True, 1)
    assert (tmp_path / "device-auto").exists()
    rows = run.config.manifest.read().to_pylist()
    assert [row["status"] for row in rows] == ["aged"] * 2 + ["failed"] + ["aged"] * 2
    assert rows[0]["worker"] == rows[1]["worker"] != rows[3]["worker"]  # what a lost worker has finished stays


def test_a_pool_has_as_many_workers_as_there_is_room_for(address: str) -> None:
    with RayPool(address=address) as pool:
        assert (pool.num_workers, pool.uses_cards) == (2, False)
    with RayPool(address=address, max_workers=1, device="cuda") as pool:
        assert (pool.num_workers, pool.uses_cards) == (1, True)


def refuse_to_load(device: str) -> None:
    raise EngineError(f"There is no such engine for {device}.")


def test_what_a_worker_refuses_is_its_own_sentence(
    address: str, tmp_path: Path, make_run: Callable[..., ClusterRun]
) -> None:
    places = Place(str(tmp_path / "photos")), Place(str(tmp_path / "aged"))
    places[0].write("me.png", encode_photo())
    run = make_run(places, pool=RayPool(address=address), load=refuse_to_load)
    with pytest.raises(EngineError, match=r"^There is no such engine for cpu\.$"):
        list(run)


def listening(process: psutil.Process) -> dict[str, set[str]]:
    """The addresses on which a process and those that it started listen, by the name of the process."""
    found: dict[str, set[str]] = {}
    for one in (process, *process.children(recursive=True)):
        try:
            ports = one.net_connections(kind="tcp")
        except psutil.Error:
            continue
        addresses = {port.laddr.ip.removeprefix("::ffff:") for port in ports if port.status == psutil.CONN_LISTEN}
        found.setdefault(one.name(), set()).update(addresses)
    return found


def test_a_run_of_the_command_listens_to_this_computer_alone_and_can_be_stopped(tmp_path: Path) -> None:
    for number in range(12):
        Place(str(tmp_path / "photos")).write(f"{number:02}.png", encode_photo(number=number))
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import reage.cli; reage.cli.main()"
    command = [sys.executable, "-c", code, "batch", "photos", "-o", "aged", "--to", "70", "--engine", "none", "--jsonl"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 500
    assert running.stdout
    lines = [running.stdout.readline()]
    found = listening(psutil.Process(running.pid))
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=max(1, deadline - time.monotonic()))
    lines += stdout.splitlines()
    assert running.returncode == 130, stderr
    assert {"raylet", "gcs_server"} <= set(found)
    assert set.union(*found.values()) == {"127.0.0.1"}
    assert all(json.loads(line)["engine"] == "none" for line in lines)
    assert [line.split(":")[0] for line in stderr.splitlines() if "1 face in" not in line] == ["Stopped"]
    stopped = re.search(r"Stopped: (\d+) of 12 pictures are done. To go on, repeat the command.", stderr)
    assert stopped, stderr
    assert len(lines) <= int(stopped[1]) <= len(lines) + 1  # it may come between the line for people and that of JSON
    assert len(list((tmp_path / "aged").glob("*.png"))) >= len(lines)
    assert not [name for name in found if name == "dashboard"]


def test_a_cluster_that_does_not_answer_is_a_sentence() -> None:
    with (
        pytest.raises(ReageError, match=r"No Ray cluster answers at '127\.0\.0\.1:1' "),
        RayPool(address="127.0.0.1:1"),
    ):
        pass
