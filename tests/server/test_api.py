"""The API: pictures and numbers as the library gives them, and a sentence for everything else."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import threading
import time

import numpy as np
import pytest

from reage.images import decode_image
from reage.pipeline import Reager
from reage.provenance import read_provenance
from reage.server.api import wants_json
from reage.server.refusals import describe_for_form, hide_paths
from reage.types import Plan
from tests.server.processes import find_children

AGE = "/v1/age"


def post(client, path: str, photo: bytes, headers=None, **fields):
    files = {
        "photo": ("C:\\secret\\me.png", photo),
        **{name: fields.pop(name) for name in ("other",) if name in fields},
    }
    return client.post(path, files=files, data=fields, headers=headers)


@pytest.fixture(scope="module")
def aged(client, me):
    return post(client, AGE, me, age=70)


def test_the_picture_has_the_pixels_of_the_library_and_its_mark(aged, portrait) -> None:
    assert (aged.status_code, aged.headers["content-type"]) == (200, "image/png")
    expected = Reager()(portrait, Plan(age=70)).image.pixels
    np.testing.assert_array_equal(decode_image(aged.content).pixels, expected)
    assert read_provenance(aged.content).is_marked


def test_the_header_tells_how_it_was_made(aged) -> None:
    header = json.loads(aged.headers["x-reage"])
    assert header["engine"] == "exemplar"
    (face,) = header["faces"]
    assert face["plan"]["age"] == 70
    assert 20 < face["age_years"] < 70
    assert set(header["seconds"]) == {"load", "find", "measure", "render", "composite"}


def test_everything_comes_as_json_where_it_is_asked_for(client, me, aged) -> None:
    answer = post(client, AGE, me, {"accept": "application/json"}, age=70).json()
    assert base64.b64decode(answer["picture"]) == aged.content
    assert answer["media_type"] == "image/png"
    assert answer["faces"][0]["plan"]["age"] == 70


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("", False), ("*/*", False), ("application/json", True), ("text/html, application/json;q=0.9", True)],
)
def test_json_is_for_those_who_accept_it(accept, expected) -> None:
    assert wants_json(accept) is expected


def test_a_jpeg_comes_back_as_jpeg_and_by_another_engine(client, encode, portrait) -> None:
    answer = post(client, AGE, encode(portrait, ".jpg"), zones="crows_feet=0.9", engine="agetransgan", face="1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert json.loads(answer.headers["x-reage"])["engine"] == "agetransgan"


def test_faces_are_found_and_measured(client, me) -> None:
    found = post(client, "/v1/find", me).json()
    assert (found["width"], found["height"], len(found["faces"])) == (256, 256, 1)
    measured = post(client, "/v1/measure", me, age=80).json()["faces"][0]
    assert measured["zones_at"]["glabella"] > measured["zones"]["glabella"]
    assert measured["quality"]


def test_one_person_is_the_same_person(client, me) -> None:
    answer = post(client, "/v1/compare", me, other=me).json()
    assert (answer["same_person"], answer["distance"], answer["age_gap_years"]) == (True, 0, 0)


def test_a_face_by_hand(client, me) -> None:
    (face,) = post(client, "/v1/find", me, box="80,70,175,170").json()["faces"]
    assert face["box"][0] > 60


BAD_FIELDS = [
    ({"age": "700"}, "plan", "700"),
    ({"age": "nan"}, "plan", "nan"),
    ({"age": "old"}, "field", "'age' is 'old'"),
    ({}, "plan", "asks for nothing"),
    ({"zones": "nose=0.5"}, "plan", "'nose'"),
    ({"zones": "forehead"}, "plan", "zones has 'forehead'"),
    ({"age": "70", "strength": "9"}, "plan", "strength"),
    ({"age": "70", "seed": "-1"}, "plan", "seed"),
    ({"age": "70", "face": "../../etc"}, "plan", "face is"),
    ({"age": "70", "face": "7"}, "face", "no face 7"),
    ({"age": "70", "face": "9" * 5000}, "plan", "face is"),
    ({"age": "70", "seed": "9" * 5000}, "field", "'seed' is"),
    ({"age": "70", "zones": "forehead=" + "9" * 5000}, "plan", "forehead"),
    ({"age": "70", "engine": "/etc/passwd"}, "engine", "exemplar"),
    ({"age": "70", "box": "1,2,3"}, "plan", "box is"),
    ({"age": "70", "frame": "0"}, "field", "frame"),
    ({"age": "70", "frame": "5"}, "image", "frame"),
    ({"age": "70", "skin": "gold=1"}, "plan", "gold"),
]


@pytest.mark.parametrize(("fields", "kind", "word"), BAD_FIELDS, ids=lambda value: str(value)[:24])
def test_a_bad_field_is_refused_in_a_sentence(client, me, fields, kind, word) -> None:
    answer = post(client, AGE, me, **fields)
    assert answer.status_code == 422
    body = answer.json()
    assert set(body) == {"error", "message"}
    assert body["error"] == kind
    assert word in body["message"]
    assert body["message"].endswith(".")
    assert "--" not in body["message"]


def test_what_is_no_photo_is_refused(client, me, encode) -> None:
    for photo, kind in [
        (b"", "image"),
        (b"nothing", "image"),
        (me[: len(me) // 2], "image"),
        (b"%PDF-1.7", "image"),
        (encode(np.zeros((64, 64, 3), np.uint8)), "face"),
        (encode(np.zeros((8, 8, 3), np.uint8)), "image"),
    ]:
        answer = post(client, AGE, photo, age=70)
        assert (answer.status_code, answer.json()["error"]) == (422, kind), answer.text
    assert client.post(AGE, data={"age": "70"}).json()["message"].startswith("The field 'photo' is missing")
    assert client.post(AGE, content=b"x", headers={"content-type": "text/plain"}).status_code == 422


def test_pixels_and_faces_have_limits(client, encode, pair) -> None:
    large = post(client, AGE, encode(np.zeros((1000, 1000, 3), np.uint8)), age=70)
    assert large.status_code == 422
    assert "0.5 megapixels" in large.json()["message"]
    crowd = post(client, AGE, pair, age=70)
    assert (crowd.status_code, crowd.json()["error"]) == (422, "face")
    assert "2 faces, and 1 are allowed" in crowd.json()["message"]


def test_bytes_have_a_limit(client) -> None:
    answer = post(client, AGE, bytes(3_000_000), age=70)
    assert (answer.status_code, answer.json()["error"]) == (413, "bytes")


def test_a_key_gives_the_kept_answer_and_no_other(client, me) -> None:
    first = post(client, AGE, me, {"idempotency-key": "k1"}, age=60)
    again = post(client, AGE, me, {"idempotency-key": "k1"}, age=60)
    assert again.headers["x-reage"] == first.headers["x-reage"]  # even the seconds are those of the first
    assert again.content == first.content
    other = post(client, AGE, me, {"idempotency-key": "k1"}, age=61)
    assert (other.status_code, other.json()["error"]) == (422, "key")
    assert post(client, AGE, me, {"idempotency-key": "k" * 999}, age=60).status_code == 400


def test_unknown_addresses_and_methods_are_told_apart(client) -> None:
    assert client.get("/v1/nothing").status_code == 404
    assert client.get(AGE).status_code == 405
    assert set(client.get("/v1/nothing").json()) == {"error", "message"}
    assert client.get("/docs").status_code == 404  # it would load its scripts from elsewhere


def test_the_description_names_every_field(client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {AGE, "/v1/find", "/v1/measure", "/v1/compare", "/v1/engines", "/health", "/metrics"} <= set(paths)
    form = client.get("/openapi.json").json()["components"]["schemas"]["Body_age_photo_v1_age_post"]["properties"]
    assert {"photo", "age", "zones", "strength", "engine", "face", "seed"} <= set(form)


def test_health_and_metrics(client, aged) -> None:
    assert client.get("/health").json() == {"status": "ok", "workers": 1, "waiting": 0}
    text = client.get("/metrics").text
    assert re.search(r'reage_requests_total\{route="/v1/age",status="200"\} [1-9]', text)
    assert "reage_workers 1" in text


@pytest.mark.parametrize(("number", "status"), [(signal.SIGSEGV, 422), (signal.SIGKILL, 503)])
def test_a_worker_that_dies_takes_one_request_with_it(client, config, me, monkeypatch, number, status) -> None:
    (child,) = find_children()
    os.kill(child, signal.SIGSTOP)  # so that it cannot be done before it is killed
    answers = []
    thread = threading.Thread(target=lambda: answers.append(post(client, AGE, me, age=70)))
    thread.start()
    while thread.is_alive() and client.get("/health").json()["waiting"] == 0:
        time.sleep(0.005)
    os.kill(child, number)
    os.kill(child, signal.SIGCONT)
    thread.join(30)
    assert (answers[0].status_code, answers[0].json()["error"]) == (status, "crash")
    assert post(client, AGE, me, age=70).status_code == 200


def test_no_path_of_the_machine_is_told() -> None:
    header = hide_paths(
        {"a": ["The file '/home/me/weights/x.onnx' is missing.", 1], "b": "C:\\Users\\me\\x.onnx; and/or 1/2"}
    )
    assert header == {"a": ["The file 'x.onnx' is missing.", 1], "b": "x.onnx; and/or 1/2"}
    assert describe_for_form("Give --box X0 or --from, or a higher --max-megapixels.") == "Give box X0 or age_from."


def test_engines_are_described_without_paths(client) -> None:
    answer = client.get("/v1/engines")
    engines = {engine["name"]: engine for engine in answer.json()["engines"]}
    assert engines["exemplar"]["default"]
    assert engines["exemplar"]["accepts"] == ["age", "references", "skin", "zones"]
    assert "/" not in answer.text.replace("and/or", "")
