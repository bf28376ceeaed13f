"""Shared fixtures: the demo photo, its face found once with the shipped weights, faces cut by hand, tiny bases."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from reage.data.shards import Portrait, Portraits
from reage.data.split import split_of
from reage.faces.detector import align
from reage.faces.finder import FaceFinder
from reage.faces.geometry import FIVE_POINTS
from reage.faces.mesh import to_ibug
from reage.images import geometry
from reage.mesh_points import LANDMARK_POINTS
from reage.nets.diffusion import build_base, load_base, save_base, tiny
from reage.nets.dreambooth import Person, add_token, save_person
from reage.nets.lora import add_lora
from reage.nets.pix2pix import build_unet
from reage.nets.pix2pix_config import tiny as tiny_pix2pix
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.sketch import Sketcher
from reage.training.export import export_sketch_net
from reage.types import Face, Pixels, Plane, Reading
from reage.weights import save_weights


def pytest_configure() -> None:
    """Tests run on all cores already: as many threads in each worker wait for each other more than they compute."""
    threads = max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of the programs that tests start


@pytest.fixture(scope="session")
def photo() -> Pixels:
    """(512, 512, 3) the demo photo: one face of 90 px."""
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    """With the shipped face parser."""
    return FaceFinder.load()


@pytest.fixture(scope="session")
def face(finder: FaceFinder, photo: Pixels) -> Face:
    """The face of the demo photo, with a crop of 512 px."""
    (found,) = finder.find(photo)
    return found


@pytest.fixture(scope="session")
def mesh(face: Face) -> Plane:
    """(478, 3) its mesh, crop px."""
    return face.to_crop(face.mesh)


@pytest.fixture(scope="session")
def ibug(mesh: Plane) -> Plane:
    """(68, 2) the points of it in the order of iBUG 300-W, crop px."""
    return to_ibug(mesh)


@pytest.fixture(scope="session")
def reading() -> Reading:
    """A plausible reading of that face."""
    return Reading(age_years=38.0, age_std_years=4.0, masculinity=0.05)


@pytest.fixture(scope="session")
def cut_face(face: Face) -> Callable[..., Face]:
    """Cuts a face of a mean shape out of any picture, without looking for one.

    The eyes' midpoint lies at `eyes` (x, y) px, `eye_distance_px` apart, the head turned by `degrees`; the whole
    crop may change, fading out towards its border.
    """

    def cut(
        pixels: Pixels, eyes: tuple[float, float], eye_distance_px: float, *, side_px: int = 128, degrees: float = 0.0
    ) -> Face:
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (FIVE_POINTS @ turn.T * eye_distance_px + np.array(eyes)).astype(np.float32)
        mesh = geometry.move_points(face.mesh, geometry.fit_similarity(face.landmarks, points))
        mesh[list(LANDMARK_POINTS), :2] = points
        matrix = align(points, side_px)
        crop = np.ascontiguousarray(geometry.warp(pixels, matrix, side_px, side_px))
        matte = np.zeros((side_px, side_px), np.float32)
        margin = side_px // 8
        matte[margin:-margin, margin:-margin] = 1
        matte = geometry.blur(matte, margin / 4) * (geometry.grow(matte, 0.9 * margin) > 0)
        half = 1.05 * eye_distance_px
        return Face(
            box=(eyes[0] - half, eyes[1] - half / 2, eyes[0] + half, eyes[1] + 1.5 * half),
            score=1.0,
            mesh=mesh,
            crop_from_image=matrix,
            crop=crop,
            matte=matte.astype(np.float32),
            skin=matte.astype(np.float32),
            bare=matte.astype(np.float32),
            hair=np.zeros_like(matte),
        )

    return cut


BLUE = (40, 75, 160)


@pytest.fixture(scope="session")
def before_blue(face: Face) -> tuple[Pixels, Plane]:
    """The demo photo's crop (512, 512, 3) as a studio portrait before a blue backdrop, and the share of the person."""
    person = geometry.blur((np.maximum(face.skin, face.hair) > 0.5).astype(np.float32), 1.0)
    light = np.linspace(1.1, 0.9, 512)[:, None, None]
    crop = face.crop * person[..., None] + np.array(BLUE) * light * (1 - person[..., None])
    return np.clip(np.rint(crop), 0, 255).astype(np.uint8), person


@pytest.fixture(scope="session")
def make_portrait(face: Face) -> Callable[..., Portrait]:
    """A portrait for training out of a picture that shows the face as the demo photo's crop does."""

    def make(
        crop: Pixels, *, person: str = "P0", age_years: float = 38.0, sex: str = "F", side_px: int = 256
    ) -> Portrait:
        matrix = geometry.resize_matrix(len(crop), side_px) @ np.vstack([face.crop_from_image, [0, 0, 1]])
        small = geometry.resize(np.ascontiguousarray(crop), side_px, side_px)
        return Portrait(
            file=f"{person}-{age_years:g}.jpg",
            person=person,
            age_years=age_years,
            sex=sex,
            year=1992,
            split=split_of(person),
            grey=bool(np.ptp(small.astype(int), axis=-1).max() == 0),
            crop=small,
            landmarks=geometry.move_points(face.landmarks, matrix),
            mesh=geometry.move_points(face.mesh, matrix),
            image_px_per_crop_px=1.0,
            score=face.score,
            box=face.box,
        )

    return make


@pytest.fixture(scope="session")
def to_columns() -> Callable[[Sequence[Portrait]], Portraits]:
    """Portraits as they are after being written to shards and read again."""

    def stack(rows: Sequence[Portrait]) -> Portraits:
        names = {
            column.name: column.name.removesuffix("s") if column.name == "crops" else column.name
            for column in fields(Portraits)
        }
        columns = {name: np.array([getattr(row, own) for row in rows]) for name, own in names.items()}
        return Portraits(**{n: c.astype(np.float32) if c.dtype == np.float64 else c for n, c in columns.items()})

    return stack


@pytest.fixture(scope="session")
def save_tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a tiny base with random weights into a new folder; those of its denoiser are times `gain`."""

    def save(gain: float = 1.0) -> Path:
        torch.manual_seed(0)
        base = build_base(tiny(), build_tokenizer(all_prompts()), "ldm-tiny")
        for weight in base.unet.parameters():
            weight.data.mul_(gain)
        path = tmp_path_factory.mktemp("bases") / "ldm-tiny"
        save_base(path, base)
        return path

    return save


@pytest.fixture(scope="session")
def mia(save_tiny_base: Callable[..., Path]) -> Path:
    """The file of a person on a tiny untrained base."""
    path = save_tiny_base()
    base = load_base(path)
    add_token(base, "sks")
    add_lora(base, 2, text_encoder=True)
    person = Person(token="sks", class_word="person", identity=np.zeros(128, np.float32), lora_rank=2)
    save_person(path.with_name("mia.safetensors"), base, person)
    return path.with_name("mia.safetensors")


@pytest.fixture(scope="session")
def sketcher(tmp_path_factory: pytest.TempPathFactory, finder: FaceFinder) -> Sketcher:
    """Draws, and makes photos, by tiny nets with random weights."""
    folder, paths = tmp_path_factory.mktemp("sketch"), []
    for direction, sizes in (("sketch", (4, 1)), ("photo", (1, 3))):
        torch.manual_seed(0)
        net = build_unet(tiny_pix2pix(*sizes).generator)
        path = folder / f"{direction}.safetensors"
        save_weights(path, net.state_dict(), {"net": asdict(net.config), "direction": direction})
        paths.append(export_sketch_net(path, path.with_suffix(".onnx")))
    return Sketcher(finder, weights=paths[0], photo_weights=paths[1])
