"""Where a picture comes from: Content Credentials (C2PA) that are written, and those and the XMP mark that are read.

Content Credentials need the extra "provenance". They hold what was done and with what, and the hash of the picture
under a signature, so that a later change shows. No thumbnail is stored: the one of the source would show the old face.
Nothing is fetched from a network, neither manifests nor time stamps nor lists of revoked certificates.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, Self

from reage.errors import ImageError, ReageError
from reage.images import decode_image, find_stream_suffix
from reage.images.xmp import DIGITAL_SOURCE_TYPE, read_mark

SIGNED_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg"),
        **dict.fromkeys((".png", ".apng"), "image/png"),
        **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
        **dict.fromkeys((".heic", ".heif"), "image/heic"),
        ".webp": "image/webp",
        ".avif": "image/avif",
        ".gif": "image/gif",
    }
)
"""Suffix -> media type of the formats of pictures that hold Content Credentials."""

SIGNED_VIDEO_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".mp4": "video/mp4", ".m4v": "video/x-m4v", ".mov": "video/quicktime"}
)
"""Likewise of videos."""

_SOURCE = "source"
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}
_STATES: Mapping[str, Literal["trusted", "intact", "broken"]] = MappingProxyType(
    {"Trusted": "trusted", "Valid": "intact", "Invalid": "broken"}
)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """With what pictures are signed.

    Args:
        certificates: PEM, that of the signer first, then those that vouch for it.
        key: PEM, the private key of the signer.
        algorithm: of the key, by its name in C2PA, such as "es256".
    """

    certificates: bytes = field(repr=False)
    key: bytes = field(repr=False)
    algorithm: str

    @classmethod
    def load(cls, certificates: Path, key: Path) -> Self:
        """The credentials of two PEM files, tried on a picture of one colour.

        Raises:
            ReageError: when c2pa-python is not installed, a file cannot be read, the key does not belong to the first
                certificate, or the certificate is not one for Content Credentials.
        """
        _require_c2pa()
        try:
            chain, secret = certificates.read_bytes(), key.read_bytes()
        except OSError as error:
            raise ReageError(f"'{error.filename}' cannot be read ({error.strerror}); give a PEM file.") from error
        loaded = cls(certificates=chain, key=secret, algorithm=_find_algorithm(chain, secret, certificates, key))
        try:
            sign_picture(_TINY_GIF, ".gif", loaded, {}, source=_TINY_GIF)
        except ImageError as error:
            raise ReageError(
                f"'{certificates}' cannot sign Content Credentials ({_one_line(error.__cause__ or error)}); give a "
                "certificate for e-mail protection or document signing, and after it those that vouch for it."
            ) from error
        return loaded


_TINY_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


def _find_algorithm(chain: bytes, secret: bytes, certificates: Path, key: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        private = load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:
        raise ReageError(f"'{key}' is no private key in PEM without a password; give one.") from error
    try:
        public = load_pem_x509_certificate(chain).public_key()
    except ValueError as error:
        raise ReageError(
            f"'{certificates}' is no certificate in PEM; give the signer's, then those above it."
        ) from error
    if private.public_key() != public:
        raise ReageError(f"The key '{key}' does not belong to the first certificate in '{certificates}'.")
    if isinstance(private, ec.EllipticCurvePrivateKey):
        found = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(private.curve.name)
    else:
        known = ((rsa.RSAPrivateKey, "ps256"), (ed25519.Ed25519PrivateKey, "ed25519"))
        found = next((name for kind, name in known if isinstance(private, kind)), None)
    if found is None:
        raise ReageError(f"The key '{key}' is of a kind that C2PA does not know; use one of the curve P-256.")
    return found


# Writing


def describe_edit(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of an aged picture: engine, weights hash, and the plan of each face.

    Args:
        result: see `reage.pipeline.Result.to_json`.
    """
    plans = [{"plan": face["plan"]} for face in result["faces"]]
    return {"engine": result["engine"], "weights_hash": result["weights_hash"], "faces": plans}


def check_signed(path: Path, suffixes: Mapping[str, str] = SIGNED_SUFFIXES) -> None:
    """Checks that a file name's format holds Content Credentials.

    Args:
        path: of the file.
        suffixes: `SIGNED_SUFFIXES`, or `SIGNED_VIDEO_SUFFIXES`.

    Raises:
        ImageError: when it does not.
    """
    if path.suffix.lower() not in suffixes:
        raise ImageError(
            f"'{path.name}' cannot hold Content Credentials; use one of {' '.join(suffixes)}, or do not sign."
        )


def sign_picture(
    picture: bytes, suffix: str, credentials: Credentials, edit: Mapping[str, Any], source: bytes | None = None
) -> bytes:
    """The picture file with Content Credentials.

    Args:
        picture: bytes of its file.
        suffix: one of `SIGNED_SUFFIXES`.
        credentials: with which it is signed.
        edit: see `describe_edit`.
        source: bytes of the file that was edited, which becomes an ingredient and keeps its own manifest; None, or one
            of a format that C2PA does not know, for none.

    Raises:
        ImageError: when it cannot be signed.
    """
    origin, signed = None, io.BytesIO()
    if source is not None:
        media_type = SIGNED_SUFFIXES.get(find_stream_suffix(io.BytesIO(source)))
        origin = None if media_type is None else (media_type, io.BytesIO(source))
    sign_stream(io.BytesIO(picture), SIGNED_SUFFIXES[suffix.lower()], credentials, edit, origin, signed)
    return signed.getvalue()


def sign_stream(
    made: IO[bytes],
    media_type: str,
    credentials: Credentials,
    edit: Mapping[str, Any],
    origin: tuple[str, IO[bytes]] | None,
    signed: IO[bytes],
) -> None:
    """Writes a picture or a video with Content Credentials.

    Args:
        made: the finished file.
        media_type: of it.
        credentials: with which it is signed.
        edit: see `describe_edit`.
        origin: media type and bytes of the file that was edited; None for none.
        signed: where the signed file is written.

    Raises:
        ImageError: when it cannot be signed.
    """
    _require_c2pa()
    import c2pa

    try:
        context = c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
        builder = c2pa.Builder(_make_manifest(media_type, edit, has_source=origin is not None), context=context)
        if origin is not None:
            builder.add_ingredient({"title": "source", "relationship": "parentOf", "label": _SOURCE}, *origin)
        info = c2pa.C2paSignerInfo(credentials.algorithm.encode(), credentials.certificates, credentials.key, None)
        builder.sign(c2pa.Signer.from_info(info), media_type, made, signed)
    except c2pa.C2paError as error:
        raise ImageError(f"The result cannot be signed ({_one_line(error)}); save it without --sign.") from error


def _make_manifest(media_type: str, edit: Mapping[str, Any], *, has_source: bool) -> dict[str, Any]:
    tool = {"name": "reage", "version": version("reage")}
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_SOURCE]}}
    created = {"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPE}  # C2PA asks for one of the two
    edited = {
        "action": "c2pa.edited",
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
        "softwareAgent": tool,
        "description": "The apparent age of faces was changed.",
    }
    return {
        "claim_generator_info": [tool],
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [opened if has_source else created, edited]}},
            {"label": "org.reage.edit", "data": dict(edit)},
        ],
    }


# Reading


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a picture file says of its origin.

    Args:
        mark: where the mark is: "XMP" of a picture, "comment" of a video.
        source_type: IPTC digital source type in the mark; "" for none.
        creator_tool: program in the mark; "" for none.
        credentials: of the active manifest: "trusted" by the anchors that were given, "intact", "broken", "unknown"
            where c2pa-python is not installed, or "none".
        signer: of the manifest, as its certificate says; "" for none.
        reasons: why the manifest is broken or not trusted, codes of C2PA.
        tools: programs that the manifest names.
        actions: of the manifest, codes of C2PA such as "c2pa.edited".
        edit: see `describe_edit`; empty where the manifest is not reage's.
        num_sources: ingredients of the manifest.
        num_manifests: in the file, the active one and those of its sources.
    """

    mark: Literal["XMP", "comment"] = "XMP"
    source_type: str = ""
    creator_tool: str = ""
    credentials: Literal["trusted", "intact", "broken", "unknown", "none"] = "none"
    signer: str = ""
    reasons: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    edit: Mapping[str, Any] = field(default_factory=dict)
    num_sources: int = 0
    num_manifests: int = 0

    @property
    def is_marked(self) -> bool:
        """Whether XMP or an unbroken manifest says that reage, or another trained algorithm, changed the picture."""
        by_manifest = self.credentials in ("trusted", "intact") and "c2pa.edited" in self.actions
        return self.source_type == DIGITAL_SOURCE_TYPE or by_manifest

    def describe(self) -> list[str]:
        """What is known, in sentences."""
        return [self._describe_mark(), self._describe_manifest(), *self._describe_edit()]

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        mark = {"source_type": self.source_type, "creator_tool": self.creator_tool}
        manifest = {
            "state": self.credentials,
            "signer": self.signer,
            "reasons": list(self.reasons),
            "tools": list(self.tools),
            "actions": list(self.actions),
            "edit": dict(self.edit),
            "sources": self.num_sources,
            "manifests": self.num_manifests,
        }
        return {"marked": self.is_marked, self.mark.lower(): mark, "c2pa": manifest}

    def _describe_mark(self) -> str:
        name, kind = ("XMP", "photo") if self.mark == "XMP" else ("Comment", "video")
        by = f", written by {self.creator_tool}" if self.creator_tool else ""
        if self.source_type == DIGITAL_SOURCE_TYPE:
            return (
                f"{name}: a {kind} that a trained algorithm changed in part{by}. Anyone can write or remove this mark."
            )
        if self.source_type:
            return f"{name}: the digital source type is {self.source_type}{by}."
        return f"{name}: no mark of an altered {'picture' if kind == 'photo' else kind}{by}."

    def _describe_manifest(self) -> str:
        if self.credentials == "none":
            return "Content Credentials: none, so nothing proves where the picture comes from."
        if self.credentials == "unknown":
            return "Content Credentials: not read; run `pip install 'reage[provenance]'`."
        by = f"signed by {self.signer or 'a signer without a name'}"
        if self.credentials == "broken":
            broken = [code for code in self.reasons if code != "signingCredential.untrusted"] or self.reasons
            return f"Content Credentials: {by}, but they do not fit the file ({', '.join(broken)}); trust none."
        if self.credentials == "trusted":
            return f"Content Credentials: {by}, whom your anchors vouch for; unchanged since."
        return f"Content Credentials: {by}; unchanged since. Nobody whom you named with --trust vouches for the signer."

    def _describe_edit(self) -> list[str]:
        said = []
        if self.actions:
            done = ", ".join(action.removeprefix("c2pa.") for action in self.actions)
            said.append(f"They say: {done}, by {', '.join(self.tools) or 'an unnamed program'}.")
        if self.edit:
            ages = ", ".join(f"{face['plan']['age']:g}" for face in self.edit.get("faces", ()))
            weights = self.edit.get("weights_hash")
            by = f"engine {self.edit.get('engine')}" + (f", weights {weights}" if weights else "")
            said.append(f"Faces were aged to {ages or 'no age'} by {by}.")
        if self.num_sources:
            own = self.num_manifests > 1
            said.append(f"The source is named{' with Content Credentials of its own' if own else ''}.")
        return said


def read_provenance(picture: str | Path | bytes, trust: Path | None = None) -> Provenance:
    """What a picture file says of its origin.

    Args:
        picture: its path, or its bytes.
        trust: PEM file of the certificates that may vouch for signers; None for none.

    Raises:
        ImageError: when the file is no picture.
        ReageError: when `trust` cannot be read.
    """
    name = "picture" if isinstance(picture, bytes) else str(picture)
    try:
        content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    except OSError as error:
        raise ImageError(f"'{name}' cannot be read ({error.strerror}); give the path of a picture file.") from error
    source_type, creator_tool = read_mark(decode_image(content, name=name).xmp)
    xmp: dict[str, Any] = {"source_type": source_type, "creator_tool": creator_tool}
    media_type = SIGNED_SUFFIXES.get(find_stream_suffix(io.BytesIO(content)))
    return Provenance(**xmp, **read_manifest(io.BytesIO(content), media_type, trust))


def read_manifest(file: IO[bytes], media_type: str | None, trust: Path | None) -> dict[str, Any]:
    """The fields of `Provenance` that the Content Credentials of a file give; empty where it has none.

    Args:
        file: to read.
        media_type: of it; None where its format holds none.
        trust: PEM file of the certificates that may vouch for signers; None for none.

    Raises:
        ReageError: when `trust` cannot be read.
    """
    if media_type is None:
        return {}
    if find_spec("c2pa") is None:
        return {"credentials": "unknown"}
    import c2pa

    settings: dict[str, Any] = dict(_SETTINGS)
    if trust is not None:
        try:
            settings["trust"] = {"trust_anchors": trust.read_text("ascii")}
        except (OSError, ValueError) as error:
            raise ReageError(f"'{trust}' cannot be read; give a PEM file of certificates.") from error
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(settings))
        reader = c2pa.Reader.try_create(media_type, file, context=context)
    except c2pa.C2paError as error:
        return {"credentials": "broken", "reasons": (_one_line(error),)}
    return {} if reader is None else _describe_store(json.loads(reader.json()), reader.get_validation_state())


def _describe_store(store: Mapping[str, Any], state: str | None) -> dict[str, Any]:
    manifest = store["manifests"].get(store.get("active_manifest"), {})
    signature = manifest.get("signature_info", {})
    assertions = {one["label"]: one["data"] for one in manifest.get("assertions", ())}
    actions = [one for label, data in assertions.items() if "c2pa.actions" in label for one in data["actions"]]
    failed = store.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
    tools = [
        f"{one.get('name', '')} {one.get('version', '')}".strip() for one in manifest.get("claim_generator_info", ())
    ]
    return {
        "credentials": _STATES.get(str(state), "broken"),
        "signer": ", ".join(filter(None, (signature.get("common_name"), signature.get("issuer")))),
        "reasons": tuple(dict.fromkeys(one["code"] for one in failed)),
        "tools": tuple(filter(None, tools)),
        "actions": tuple(one["action"] for one in actions),
        "edit": assertions.get("org.reage.edit", {}),
        "num_sources": len(manifest.get("ingredients", ())),
        "num_manifests": len(store["manifests"]),
    }


def _require_c2pa() -> None:
    if find_spec("c2pa") is None:
        raise ReageError("Content Credentials need c2pa-python; run `pip install 'reage[provenance]'`.")


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()).rstrip(".")
