"""A run over a folder: nothing that happens to one photo stops the rest, in one process or several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from reage.batch import FileOutcome
from reage.engines.none import NoOpEngine
from reage.errors import EngineError
from reage.folders import FolderRun, ResumeFile, RunConfig, find_num_jobs, list_folder
from reage.images import Image, save_image
from reage.pipeline import Reager
from reage.processes import count_cores
from reage.types import Aged, CompletePlan, Face, Plan, Reading

FINE, UNFORESEEN, NO_MEMORY, CRASH, SLOW = range(5)


class _Accidents(NoOpEngine):
    """Changes nothing; what happens instead is told by the first pixel of the photo."""

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        assert face.photo is not None
        accident = face.photo[0, 0, 0]
        if accident == UNFORESEEN:
            raise RuntimeError("not foreseen,\nat all")
        if accident == NO_MEMORY:
            raise MemoryError
        if accident == CRASH:
            os.kill(os.getpid(), signal.SIGKILL)
        if accident == SLOW:
            time.sleep(60)
        return super().render(face, reading, plan)


def load() -> Reager:
    return Reager(_Accidents())


def refuse_to_load() -> Reager:
    raise EngineError("There is no such engine.")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an empty folder `photos`."""
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, accident: int = FINE) -> None:
    photo = skimage.data.astronaut()[:256, 96:352].copy()
    photo[0, 0] = accident
    save_image(Image(pixels=photo), Path("photos", name), altered=False)


def make_run(**changes: Any) -> FolderRun:
    skip_existing = changes.pop("skip_existing", False)
    config = RunConfig(plan=Plan(age=70), output=Path("aged"), settings="at 70", skip_existing=skip_existing)
    return FolderRun(**{"load": load, "listing": list_folder("photos", "aged"), "config": config, **changes})


def by_name(outcomes: list[FileOutcome]) -> dict[str, FileOutcome]:
    return {outcome.source.name: outcome for outcome in outcomes}


def files() -> list[str]:
    """Names in the folder of the results, hidden ones too."""
    return sorted(os.listdir("aged"))


@pytest.mark.parametrize("num_jobs", [1, 2])
def test_whatever_happens_to_a_photo_the_rest_is_aged(num_jobs: int) -> None:
    accidents = {"a.png": UNFORESEEN, "b.png": NO_MEMORY, "c.png": FINE, "e.png": FINE}
    if num_jobs > 1:
        accidents["d.png"] = CRASH
    for name, accident in accidents.items():
        write(name, accident)
    Path("photos/broken.jpg").write_bytes(b"no picture")
    outcomes = by_name(list(make_run(num_jobs=num_jobs)))
    assert {name for name, outcome in outcomes.items() if outcome.status == "aged"} == {"c.png", "e.png"}
    assert files() == ["c.png", "e.png"]
    assert {outcome.status for outcome in outcomes.values()} == {"aged", "failed"}
    assert len(outcomes) == len(accidents) + 1
    assert "RuntimeError (not foreseen, at all)" in outcomes["a.png"].reason
    assert "please report it" in outcomes["a.png"].reason
    assert 'raise RuntimeError("not foreseen' in outcomes["a.png"].traceback
    assert "not enough memory" in outcomes["b.png"].reason
    assert outcomes["broken.jpg"].traceback == ""
    assert outcomes["broken.jpg"].to_json() == {"input": "photos/broken.jpg", "error": outcomes["broken.jpg"].reason}
    if num_jobs > 1:
        assert "signal 9" in outcomes["d.png"].reason
    values = outcomes["c.png"].to_json()
    assert (values["input"], values["output"], values["engine"]) == ("photos/c.png", "aged/c.png", "none")
    assert all("\n" not in outcome.reason for outcome in outcomes.values())


def test_a_crash_of_the_last_worker_leaves_no_file() -> None:
    write("d.png", CRASH)
    (outcome,) = make_run(num_jobs=2)
    assert outcome.status == "failed"
    assert "signal 9" in outcome.reason
    assert files() == []


@pytest.mark.parametrize("num_jobs", [1, 2])
def test_an_engine_that_cannot_be_loaded_is_refused_before_a_folder_is_made(num_jobs: int) -> None:
    write("me.png")
    write("you.png")
    with pytest.raises(EngineError, match="no such engine"):
        list(make_run(load=refuse_to_load, num_jobs=num_jobs))
    assert not Path("aged").exists()


def test_outcomes_come_one_by_one_and_a_photo_is_not_made_twice() -> None:
    write("me.png")
    write("you.png")
    with closing(iter(make_run())) as outcomes:
        assert next(outcomes).output == Path("aged/me.png")
        assert Path("aged/me.png").is_file()
        assert not Path("aged/you.png").exists()
    assert files() == ["me.png"]
    before = Path("aged/me.png").stat().st_mtime_ns
    again = by_name(list(make_run(skip_existing=True)))
    assert {name: outcome.status for name, outcome in again.items()} == {"me.png": "skipped", "you.png": "aged"}
    assert again["me.png"].to_json()["skipped"] == "its result is there"
    assert Path("aged/me.png").stat().st_mtime_ns == before
    assert {outcome.status for outcome in make_run()} == {"aged"}
    assert Path("aged/me.png").stat().st_mtime_ns > before


def test_nothing_is_loaded_where_nothing_is_left() -> None:
    write("me.png")
    resume = ResumeFile(Path("run.jsonl"), "at 70")
    assert [outcome.status for outcome in make_run(resume=resume)] == ["aged"]
    for changes in ({"skip_existing": True}, {"resume": ResumeFile(Path("run.jsonl"), "at 70")}):
        (outcome,) = make_run(load=refuse_to_load, **changes)
        assert outcome.status == "skipped"


def test_a_run_that_is_left_ends_its_processes_at_once() -> None:
    write("a.png")
    write("b.png", SLOW)
    start = time.monotonic()
    with closing(iter(make_run(num_jobs=2))) as outcomes:
        assert next(outcomes).source.name == "a.png"
    assert time.monotonic() - start < 50
    assert multiprocessing.active_children() == []
    assert files() == ["a.png"]


def test_unfinished_files_of_killed_runs_are_tidied_up() -> None:
    write("me.png")
    Path("aged").mkdir()
    run = multiprocessing.get_context("spawn").Process(target=_leave_unfinished_file)
    run.start()
    run.join()
    assert len(files()) == 1
    list(make_run())
    assert files() == ["me.png"]


def _leave_unfinished_file() -> None:
    from reage.files import replace_file

    with replace_file(Path("aged/half.png").absolute()) as unfinished:
        unfinished.write_bytes(np.zeros(9))
        os.kill(os.getpid(), signal.SIGKILL)


def test_as_many_processes_as_photos_and_cores_are_worth() -> None:
    assert find_num_jobs(1) == find_num_jobs(8) == 1
    assert 1 <= find_num_jobs(100_000) <= count_cores()
