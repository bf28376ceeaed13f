"""Content Credentials, written and read, and what is said of them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import skimage.data
from typer.testing import CliRunner

from reage.cli import app
from reage.errors import ImageError, ReageError
from reage.images import Image, decode_image, encode_image
from reage.provenance import Credentials, Provenance, read_manifest, read_provenance, sign_picture

EDIT = {
    "engine": "exemplar",
    "weights_hash": "0123456789ab",
    "faces": [{"plan": {"age": 70.0, "zones": {"forehead": 0.4}}}],
}


@pytest.fixture(scope="module")
def picture() -> Image:
    return Image(pixels=skimage.data.astronaut()[:96, 96:224].copy())


@pytest.fixture(scope="module")
def credentials(chain) -> Credentials:
    return Credentials.load(chain.certificates, chain.key)


@pytest.fixture(scope="module")
def source(picture) -> bytes:
    return encode_image(picture, ".jpg", altered=False)


@pytest.fixture(scope="module")
def signed(picture, credentials, source) -> bytes:
    return sign_picture(encode_image(picture, ".png"), ".png", credentials, EDIT, source=source)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".avif", ".gif", ".heic"])
def test_every_format_keeps_its_pixels_and_says_what_was_done(picture, credentials, chain, source, suffix) -> None:
    encoded = encode_image(picture, suffix)
    signed = sign_picture(encoded, suffix, credentials, EDIT, source=source)
    np.testing.assert_array_equal(decode_image(signed).pixels, decode_image(encoded).pixels)
    found = read_provenance(signed, chain.root)
    assert (found.credentials, found.signer) == ("trusted", "signer, tests")
    assert found.actions == ("c2pa.opened", "c2pa.edited")
    assert found.edit == EDIT
    assert found.num_sources == 1
    assert found.is_marked


def test_without_an_anchor_nobody_vouches(signed) -> None:
    found = read_provenance(signed)
    assert found.credentials == "intact"
    assert any("Nobody whom you named" in sentence for sentence in found.describe())
    assert any("aged to 70 by engine exemplar, weights 0123456789ab" in sentence for sentence in found.describe())


def test_a_change_after_signing_shows(signed, chain) -> None:
    at = signed.index(b"IDAT") + 40
    changed = bytearray(signed)
    changed[at] ^= 1
    found = Provenance(**read_manifest(io.BytesIO(changed), "image/png", chain.root))  # its pixels cannot be decoded
    assert found.credentials == "broken"
    assert "assertion.dataHash.mismatch" in found.reasons
    assert not found.is_marked
    assert any("do not fit the file" in sentence for sentence in found.describe())


def test_the_manifest_of_the_source_is_kept(picture, credentials, source) -> None:
    first = sign_picture(source, ".jpg", credentials, EDIT)
    second = sign_picture(encode_image(picture, ".webp"), ".webp", credentials, EDIT, source=first)
    found = read_provenance(second)
    assert (found.num_sources, found.num_manifests) == (1, 2)
    assert found.describe()[-1] == "The source is named with Content Credentials of its own."


def test_no_picture_of_the_old_face_is_stored(picture, credentials, source) -> None:
    encoded = encode_image(picture, ".png")
    assert len(sign_picture(encoded, ".png", credentials, EDIT, source=source)) < len(encoded) + 8_000


def test_a_source_of_an_unknown_format_is_no_ingredient(picture, credentials) -> None:
    source = encode_image(picture, ".bmp", altered=False)
    found = read_provenance(sign_picture(encode_image(picture, ".png"), ".png", credentials, EDIT, source=source))
    assert (found.credentials, found.num_sources, found.actions) == ("intact", 0, ("c2pa.created", "c2pa.edited"))


def test_the_xmp_mark_alone_proves_nothing(picture) -> None:
    found = read_provenance(encode_image(picture, ".png"))
    assert (found.credentials, found.is_marked, found.creator_tool.split()[0]) == ("none", True, "reage")
    assert found.describe()[0].startswith("XMP: a photo that a trained algorithm changed in part, written by reage")
    plain = read_provenance(encode_image(picture, ".png", altered=False))
    assert not plain.is_marked
    assert plain.describe()[0] == "XMP: no mark of an altered picture."
    assert read_provenance(encode_image(picture, ".bmp")).credentials == "none"


def test_wrong_credentials_are_refused_in_a_sentence(chain, tmp_path) -> None:
    for certificates, key, word in [
        (chain.certificates, chain.other_key, "does not belong"),
        (chain.key, chain.key, "no certificate"),
        (chain.certificates, chain.certificates, "no private key"),
        (tmp_path / "missing.pem", chain.key, "cannot be read"),
    ]:
        with pytest.raises(ReageError, match=word) as refusal:
            Credentials.load(certificates, key)
        assert str(refusal.value).endswith(".")
    with pytest.raises(ImageError):
        read_provenance(b"nothing")
    assert "BEGIN" not in repr(Credentials.load(chain.certificates, chain.key))


# Commands


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_age_signs_and_provenance_reads(chain, tmp_path) -> None:
    photo, aged = tmp_path / "me.png", tmp_path / "old.jpg"
    photo.write_bytes(encode_image(Image(pixels=skimage.data.astronaut()[:256, 96:352].copy()), ".png", altered=False))
    signing = ("--sign", chain.certificates, "--key", chain.key)
    done = call("age", photo, "--to", 70, "--engine", "agetransgan", "-o", aged, *signing)
    assert done.exit_code == 0, done.output
    found = json.loads(call("provenance", aged, "--trust", chain.root, "--json").stdout)
    assert (found["marked"], found["c2pa"]["state"], found["c2pa"]["sources"]) == (True, "trusted", 1)
    assert found["c2pa"]["edit"]["faces"][0]["plan"]["age"] == 70
    assert "vouch for" in call("provenance", aged, "--trust", chain.root).stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("-o", "old.bmp", "--sign", "CERT", "--key", "KEY"), "cannot hold Content Credentials"),
        (("-o", "old.png", "--sign", "CERT"), "--sign needs --key"),
        (("-o", "old.png", "--key", "KEY"), "--key needs --sign"),
        (("-o", "-", "--sign", "CERT", "--key", "KEY"), "--sign is for one photo"),
    ],
)
def test_what_cannot_be_signed_is_refused_before_the_work(chain, tmp_path, monkeypatch, arguments, word) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me.png").write_bytes(encode_image(Image(pixels=np.zeros((32, 32, 3), np.uint8)), ".png"))
    files = {"CERT": chain.certificates, "KEY": chain.key}
    done = call("age", "me.png", "--to", 70, *(files.get(one, one) for one in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert word in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"me.png"}
