"""Content Credentials of videos: written by the command line and the server, and read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reage.pipeline import Reager
from reage.provenance import Credentials
from reage.server.config import ServerConfig
from reage.server.tasks import VideoTask
from reage.server.videos import age_video
from reage.types import Plan
from reage.video.signing import read_video_provenance
from reage.video.source import FrameReader, probe_video
from tests.cli.commands import call
from tests.video.clips import moving_face, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "me.mp4", moving_face(2))


@pytest.fixture(scope="module")
def signed(clip, chain):
    path = clip.with_name("signed.mp4")
    signing = ("--sign", str(chain.certificates), "--key", str(chain.key))
    done = call("video", str(clip), "--to", "70", "-o", str(path), *signing)
    assert done.exit_code == 0, done.output
    return path


def test_a_signed_video_says_what_was_done_and_verifies(signed, chain) -> None:
    found = json.loads(call("provenance", str(signed), "--trust", str(chain.root), "--json").stdout)
    assert found["marked"]
    assert found["comment"]["creator_tool"].startswith("reage ")
    manifest = found["c2pa"]
    assert (manifest["state"], manifest["signer"]) == ("trusted", "signer, tests")
    assert manifest["actions"] == ["c2pa.opened", "c2pa.edited"]
    assert manifest["sources"] == 1
    assert manifest["edit"]["engine"] == "exemplar"
    assert manifest["edit"]["faces"][0]["plan"]["age"] == 70
    said = call("provenance", str(signed)).stdout
    assert said.startswith("Comment: a video that a trained algorithm changed")
    assert "Faces were aged to 70 by engine exemplar" in said


def test_a_signed_video_can_be_read_and_is_whole(signed) -> None:
    assert len(list(FrameReader(probe_video(signed)))) == 2
    assert [path.name for path in signed.parent.iterdir() if path.name.startswith(".")] == []


def test_a_change_after_signing_is_seen(signed, tmp_path) -> None:
    content = bytearray(signed.read_bytes())
    content[content.index(b"mdat") + 60] ^= 1
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(content)
    found = read_video_provenance(changed)
    assert found.credentials == "broken"
    assert any("do not fit the file" in sentence for sentence in found.describe())


def test_a_signed_source_keeps_its_own_credentials(signed, chain, tmp_path) -> None:
    again = tmp_path / "again.mp4"
    signing = ("--sign", str(chain.certificates), "--key", str(chain.key))
    assert call("video", str(signed), "--to", "20", "--preview", "0.03", "-o", str(again), *signing).exit_code == 0
    found = read_video_provenance(again, chain.root)
    assert found.num_manifests == 2
    assert "The source is named with Content Credentials of its own." in found.describe()


def test_a_video_without_credentials_has_the_mark_of_nobody(clip) -> None:
    found = read_video_provenance(clip)
    assert (found.credentials, found.is_marked) == ("none", False)


def test_a_format_that_holds_none_is_refused_before_the_work(clip, chain) -> None:
    signing = ("--sign", str(chain.certificates), "--key", str(chain.key))
    done = call("video", str(clip), "--to", "70", "-o", str(clip.with_name("x.mkv")), *signing)
    assert done.exit_code == 2
    assert "use one of .mp4 .m4v .mov" in done.stderr
    assert call("video", str(clip), "--to", "70", "--sign", str(chain.certificates)).exit_code == 2


def test_the_server_signs_videos_with_its_key(clip, chain, tmp_path) -> None:
    config = replace(ServerConfig(), credentials=Credentials.load(chain.certificates, chain.key))
    output, steps = tmp_path / "aged.mp4", []
    task = VideoTask(source=clip, output=output, plan=Plan(age=70), engine="none")
    answer = age_video(task, Reager("none"), config, steps.append)
    assert read_video_provenance(output, chain.root).credentials == "trusted"
    assert "output" not in answer.values
    assert {step.step for step in steps} == {"finding people", "aging"}
