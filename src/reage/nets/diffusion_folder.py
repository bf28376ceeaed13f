"""Finds the folder or file of a diffusion base, on the disk or the hub, hashes it, and replaces it safely."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reage.errors import WeightsError
from reage.weights import SHIPPED

INDEX, PROVENANCE = "model_index.json", "reage.json"
IDENTITY = "identity.safetensors"
"""The identity projection, which a base may lack."""
_DENOISER = "unet/diffusion_pytorch_model.safetensors"
_WEIGHTS = ("text_encoder/model.safetensors", _DENOISER, "vae/diffusion_pytorch_model.safetensors")
_NEEDED = (
    INDEX,
    *_WEIGHTS,
    "text_encoder/config.json",
    "unet/config.json",
    "vae/config.json",
    "tokenizer/tokenizer_config.json",
    "scheduler/scheduler_config.json",
)
"""Files that every folder of a base has."""

_HUB_TIMEOUT_SECONDS = 5.0


def find_base(name: str | Path) -> Path:
    """The folder of a base with all its parts, or the file of a checkpoint.

    Args:
        name: of a shipped base, of a folder or a `.safetensors` file, or `OWNER/NAME` on the hub.

    Raises:
        WeightsError: when there is no such base, it lacks a part or cannot be fetched.
    """
    for folder in (SHIPPED / name, Path(name)):
        if (folder / INDEX).is_file() or (folder == Path(name) and folder.is_dir()):
            return _check_complete(folder)
    if Path(name).is_file() and Path(name).suffix == ".safetensors":
        return Path(name)
    if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return _check_complete(_fetch(name))
    shipped = ", ".join(sorted(index.parent.name for index in SHIPPED.glob(f"*/{INDEX}"))) or "none"
    raise WeightsError(
        f"There is no diffusion base '{name}'; use a shipped one ({shipped}), a folder in diffusers' layout, "
        "a .safetensors checkpoint of Stable Diffusion 1.x or 2.x-base, or OWNER/NAME on the hub."
    )


def _check_complete(folder: Path) -> Path:
    for needed in _NEEDED:
        if not (folder / needed).is_file():
            raise WeightsError(
                f"The diffusion base '{folder}' lacks {needed}; give a folder that diffusers wrote, with all its parts."
            )
    return folder


def _fetch(name: str) -> Path:
    """The folder of that name on the hub, from the local cache if it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    wanted = [*_NEEDED, PROVENANCE, IDENTITY, "tokenizer/*"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, etag_timeout=_HUB_TIMEOUT_SECONDS))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise WeightsError(
            f"'{name}' is no folder here and could not be fetched from the hub; check the name and the network, "
            "or fetch it where there is a network and give its folder."
        ) from error


def hash_base(place: Path) -> str:
    """12 hexadecimal digits that change with any weight in the folder or the checkpoint."""
    return hash_parts(place)[0]


def hash_parts(place: Path) -> tuple[str, str]:
    """The digits of `hash_base`, and the same without denoiser and identity projection; every file is read once."""
    digests = {}
    for path in [place] if place.is_file() else _weights_files(place):
        with path.open("rb") as file:
            digests[path] = hashlib.file_digest(file, "sha256").digest()
    of_denoiser = (place / _DENOISER, place / IDENTITY)
    others = [digest for path, digest in digests.items() if path not in of_denoiser]
    of_all, of_others = (hashlib.sha256(b"".join(found)).hexdigest()[:12] for found in (digests.values(), others))
    return of_all, of_others


def _weights_files(folder: Path) -> list[Path]:
    """The files whose weights decide on pictures."""
    optional = [folder / IDENTITY] if (folder / IDENTITY).is_file() else []
    return [*(folder / name for name in _WEIGHTS), *optional]


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` to write to, which replaces it at the end, or is deleted on any failure.

    Args:
        folder: to make; a base that is there stays complete until the new one is.

    Raises:
        WeightsError: when it holds something other than a base, or cannot be written.
    """
    if folder.exists() and not (folder / INDEX).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise WeightsError(f"'{folder}' holds something other than a diffusion base; choose another place.")
    unfinished, old = (folder.with_name(f".reage-{secrets.token_hex(8)}") for _ in range(2))
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if folder.exists():
            os.replace(folder, old)
        os.replace(unfinished, folder)
    except OSError as refusal:
        raise WeightsError(f"'{folder}' could not be written ({refusal.strerror}); choose another place.") from refusal
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        for left in (unfinished, old):
            shutil.rmtree(left, ignore_errors=True)
