"""The page: local, labelled, and with a preview between the ages that were made."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from reage.server.app import build_app
from reage.server.config import ServerConfig

pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def page():
    with TestClient(build_app(ServerConfig()), base_url="http://127.0.0.1:7860") as running:
        yield running


def test_nothing_that_the_page_loads_lies_elsewhere(page) -> None:
    answer = page.get("/")
    assert answer.status_code == 200
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?([^\"' >]+)", answer.text)
    assert loaded
    assert [one for one in loaded if re.match(r"(?:https?:)?//(?!127\.0\.0\.1)", one)] == []
    policy = answer.headers["content-security-policy"]
    assert "http" not in policy
    assert "default-src 'self'" in policy


def test_every_control_has_a_label(page) -> None:
    components = page.get("/config").json()["components"]
    kinds = ("image", "slider", "dropdown", "radio", "number", "file", "textbox", "imageslider")
    unnamed = [one for one in components if one["type"] in kinds and not one["props"].get("label")]
    assert unnamed == []
    assert sum(one["type"] == "slider" for one in components) >= 15


def test_the_page_leaves_the_api_alone(page) -> None:
    assert page.get("/health").json()["status"] == "ok"
    assert page.post("/v1/find").status_code == 422
    assert page.get("/v1/find").json() == {"error": "request", "message": "This address takes another method."}
    assert page.get("/v1/nothing").json()["error"] == "request"
