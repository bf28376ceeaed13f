"""The tabs for a video and for several photos in a real browser."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from reage.images import decode_image
from reage.provenance import read_provenance
from tests.browser.actions import give, open_tab
from tests.browser.test_page import save
from tests.video.clips import moving_face, write_clip

PLAYS = "() => { const video = document.querySelector('#aged-video video'); return video && video.readyState > 1; }"


def test_a_video_is_aged_with_progress_and_can_be_saved(page, tmp_path) -> None:
    import av

    clip = write_clip(tmp_path / "me.mp4", moving_face(6)).read_bytes()
    panel = open_tab(page, "Video")
    give(panel, "me.mp4", clip, kind="video/mp4")
    panel.get_by_role("row", name="me").wait_for()
    panel.get_by_role("button", name="Preview").click()
    panel.get_by_role("progressbar").wait_for()
    panel.get_by_text("Aged in 6 of 6 frames.").wait_for()
    page.wait_for_function(PLAYS)
    (tmp_path / "aged.mp4").write_bytes(save(page, "Save the video"))
    with av.open(str(tmp_path / "aged.mp4")) as made:
        assert len(list(made.decode(video=0))) == 6
        assert "reage" in made.metadata["comment"]


def test_what_is_no_video_is_refused_and_a_run_is_stopped(desk, tmp_path) -> None:
    panel = open_tab(desk, "Video")
    give(panel, "me.mp4", b"no video at all", kind="video/mp4")
    panel.get_by_role("row", name="me").wait_for()
    panel.get_by_role("button", name="Age the video").click()
    panel.get_by_text("neither a video nor a zip").wait_for()
    panel.get_by_role("button", name="Clear").click()
    give(panel, "long.mp4", write_clip(tmp_path / "long.mp4", moving_face(60)).read_bytes(), kind="video/mp4")
    panel.get_by_role("row", name="long").wait_for()
    panel.get_by_role("button", name="Age the video").click()
    panel.get_by_text("Finding people").wait_for()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("Stopped.").wait_for()


def test_photos_come_back_as_a_zip(page, me, nobody) -> None:
    panel = open_tab(page, "Batch")
    files = [
        {"name": name, "mimeType": "image/jpeg", "buffer": one} for name, one in (("me.jpg", me), ("no.jpg", nobody))
    ]
    panel.locator("input[type=file]").set_input_files(files)
    panel.locator("tr.file").nth(1).wait_for()
    panel.get_by_role("button", name="Age all photos").click()
    panel.get_by_text("1 face aged").wait_for()
    panel.get_by_text("No face was found").wait_for()
    archive = zipfile.ZipFile(io.BytesIO(save(page, "Save the zip")))
    assert archive.namelist() == ["me-70.jpg", "report.json"]
    aged = archive.read("me-70.jpg")
    assert read_provenance(aged).is_marked
    assert np.abs(decode_image(aged).pixels.astype(int) - decode_image(me).pixels).max() > 30
