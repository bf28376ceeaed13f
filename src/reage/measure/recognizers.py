"""Face recognizers: dlib's net, `aifd`, and any net of the ArcFace or AdaFace family in an ONNX file.

No net of that family is shipped, because the usual ones may not be used commercially; check the licence of your file.
dlib's net judges evaluations, so no recipe of an engine may train on its embeddings; `aifd` is made from it, and the
identity tokens of the base `ldm-small` are, so neither is judged independently by it.

Convention:
    an ONNX net takes RGB (ArcFace) or BGR (AdaFace) in [-1, 1], 112 x 112 px, aligned to ArcFace's template. Its
    embedding (D,) has length 1 and is the mean of a face and its mirror image; the cosine of two faces of one person is
    near 1. Each net needs its own threshold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from reage.errors import WeightsError
from reage.images import geometry
from reage.nets.runtime import load_session, load_trained, open_session
from reage.types import Matrix, Pixels, Plane
from reage.weights import made_for

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAME_PERSON_DISTANCE = 0.527
"""Two faces with a smaller distance count as one person.

At this threshold 1 in 1000 pairs of different people of one sex is accepted, on portraits; `reage training calibrate`
measures it. dlib's own threshold of 0.6 accepts 16 in 1000.
"""

FACE_PX = 112
"""Side of the aligned pictures that ONNX nets take."""

ARCFACE_POINTS: Plane = np.array([[31.3, 53.7], [45.0, 54.2], [66.9, 54.1], [80.7, 53.5], [55.9, 80.9]], np.float32)
"""The five points of `Face.landmarks`, px, in a face aligned to ArcFace's template.

That template has eye centres, nose tip and mouth corners; these are the means over 170 portraits aligned by them.
Aligned by these points instead, template points move by 1.0 px in the median and 2.2 px at 95 %, less than the 3.1 px
by which a face deviates from the template.
"""

KINDS = ("arcface", "adaface")

_BATCH_SIZE = 32

CHIP_PX = 150
"""Side of the aligned face that dlib's recognizer takes."""
_CHIP_PADDING = 0.25
_CHIP_POINTS = np.array(
    [
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.6460604764104, 0.2289674387677],
        [0.8595674595992, 0.2134981538014],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""dlib's template of the five points of `Face.landmarks`, in shares of a chip without padding."""


class FaceRecognizer(Protocol):
    """A face recognizer: it embeds faces as identity vectors and compares them; any class with these methods is one.

    Convention:
        pictures RGB uint8; landmarks (x, y) px, five points ordered as `Face.landmarks`; an embedding is (D,) float32.
    """

    @property
    def name(self) -> str:
        """Name of the recognizer in reports."""
        ...

    def embed(self, pixels: Pixels, landmarks: Plane) -> Plane:
        """The embedding (D,) of the face with landmarks (5, 2) in a picture (H, W, 3) of any size."""
        ...

    def embed_crops(self, crops: Pixels, landmarks: Plane) -> Plane:
        """The embeddings (N, D) of N pictures (N, S, S, 3) with landmarks (N, 5, 2)."""
        ...

    def similarity(self, a: Plane, b: Plane) -> NDArray[np.float32]:
        """Similarity (...) of embeddings (..., D), higher for more similar faces; the scale depends on the net."""
        ...


class DlibRecognizer:
    """dlib's face recognition net, with embeddings of 128 numbers.

    Args:
        session: of the net; `load` opens the shipped one.

    Example:
        >>> recognizer = DlibRecognizer.load()  # doctest: +SKIP
        >>> before, after = (recognizer.embed(pixels, points) for pixels in (crop, aged))  # doctest: +SKIP
        >>> identity_distance(before, after) < SAME_PERSON_DISTANCE  # doctest: +SKIP
        True
    """

    name = "dlib"

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    @classmethod
    def load(cls) -> DlibRecognizer:
        """The recognizer with dlib's own weights.

        Raises:
            WeightsError: when the net is missing.
        """
        return cls(load_session("face-recognizer"))

    def embed(self, pixels: Pixels, landmarks: Plane) -> Plane:
        """The embedding of one face in a picture of any size.

        Args:
            pixels: (H, W, 3) RGB, for example `face.crop`.
            landmarks: (5, 2) px in `pixels`, ordered as `Face.landmarks`: for a crop `face.to_crop(face.landmarks)`.

        Returns:
            (128,) float32.
        """
        return self.embed_chips(make_chip(pixels, landmarks)[None])[0]

    def embed_crops(self, crops: Pixels, landmarks: Plane) -> Plane:
        """The embeddings (N, 128) of N pictures (N, S, S, 3) with landmarks (N, 5, 2)."""
        chips = [make_chip(crop, points) for crop, points in zip(crops, landmarks, strict=True)]
        return self.embed_chips(np.stack(chips))

    @staticmethod
    def similarity(a: Plane, b: Plane) -> NDArray[np.float32]:
        """Negative Euclidean distance (...) of embeddings (..., 128); 0 for the same picture."""
        return -identity_distance(a, b)

    def embed_chips(self, chips: Pixels) -> Plane:
        """The embeddings (N, 128) of N chips (N, 150, 150, 3), see `make_chip`."""
        starts = range(0, len(chips), _BATCH_SIZE)
        return np.concatenate([self._embed_batch(_to_batch(chips[start : start + _BATCH_SIZE])) for start in starts])

    def _embed_batch(self, batch: Plane) -> Plane:
        """The embeddings (B, 128) of a batch (B, 3, 150, 150) in [-1, 1]."""
        return np.asarray(self._session.run(["embeddings"], {"chips": batch})[0])


class AifdRecognizer(DlibRecognizer):
    """The age-invariant identity encoder `reage.nets.aifd`, on the same aligned faces as dlib's net.

    An embedding is (128,) of length 1, the sum of those of a face and its mirror image; two are compared by their
    cosine.

    Args:
        session: of the net; `load` opens the shipped one.
        threshold: similarity from which two faces count as one person.

    Example:
        >>> recognizer = AifdRecognizer.load()  # doctest: +SKIP
        >>> young, old = (recognizer.embed(pixels, points) for pixels in (crop, aged))  # doctest: +SKIP
        >>> recognizer.similarity(young, old) >= recognizer.threshold  # doctest: +SKIP
        True
    """

    name = "aifd"

    def __init__(self, session: InferenceSession, threshold: float) -> None:
        super().__init__(session)
        self.threshold = threshold

    @classmethod
    def load(cls, weights: str | Path = "aifd") -> AifdRecognizer:
        """The recognizer with weights by the name of shipped ones or the path of a file.

        Raises:
            WeightsError: when there are no such weights, or they are not of this recognizer.
        """
        path, session, config = load_trained(weights)
        with made_for(path, "the recognizer aifd"):
            if [given.shape[1:] for given in session.get_inputs()] != [[3, CHIP_PX, CHIP_PX]]:
                raise ValueError
            return cls(session, float(config["threshold"]))

    def embed_chips(self, chips: Pixels) -> Plane:
        """The embeddings (N, 128), of length 1, of N chips (N, 150, 150, 3), see `make_chip`."""
        return _to_unit(super().embed_chips(chips) + super().embed_chips(chips[:, :, ::-1]))

    @staticmethod
    def similarity(a: Plane, b: Plane) -> NDArray[np.float32]:
        """Cosine (...) of embeddings (..., 128), in [-1, 1]; 1 for the same picture."""
        return OnnxRecognizer.similarity(a, b)


def make_chip(pixels: Pixels, landmarks: Plane, side_px: int = CHIP_PX, padding: float = _CHIP_PADDING) -> Pixels:
    """The face (side_px, side_px, 3) as nets of dlib take it, aligned to dlib's template; black beyond the picture.

    Args:
        pixels: (H, W, 3) RGB.
        landmarks: (5, 2) px in `pixels`, ordered as `Face.landmarks`.
        side_px: of the chip.
        padding: around the template on each side, in shares of it.
    """
    template = (padding + _CHIP_POINTS) / (2 * padding + 1) * side_px - 0.5
    chip_from_image = geometry.fit_similarity(landmarks, template.astype(np.float32))
    return geometry.warp(pixels, chip_from_image, side_px, side_px, edge="zero")


def identity_distance(a: Plane, b: Plane) -> NDArray[np.float32]:
    """Euclidean distance (...) of dlib embeddings (..., 128); 0.36 is usual for one person ten years apart."""
    return np.asarray(np.linalg.norm(a - b, axis=-1))


class OnnxRecognizer:
    """A face recognition net from an ONNX file.

    Args:
        session: of the net; `load` opens one.
        kind: "arcface" (RGB) or "adaface" (BGR).
        name: of the recognizer in reports.

    Example:
        >>> recognizer = OnnxRecognizer.load("adaface_ir101.onnx", kind="adaface")  # doctest: +SKIP
        >>> before = recognizer.embed(face.crop, face.to_crop(face.landmarks))  # doctest: +SKIP
        >>> recognizer.similarity(before, recognizer.embed(aged, face.to_crop(face.landmarks)))  # doctest: +SKIP
        array(0.71, dtype=float32)
    """

    def __init__(self, session: InferenceSession, kind: str = "arcface", name: str = "") -> None:
        self.kind = kind
        self.name = name
        self._session = session
        self._channels_last = _has_channels_last(session, name)
        self._output = self._find_output()
        self._batch_size = _BATCH_SIZE if self._takes_two() else 1

    @classmethod
    def load(cls, path: str | Path, kind: str = "arcface") -> OnnxRecognizer:
        """A recognizer with the net of a file, named by its stem.

        Raises:
            WeightsError: when the kind is unknown, the file is missing or no face net.
        """
        if kind not in KINDS:
            raise WeightsError(f"There is no kind of face net '{kind}'; use {' or '.join(KINDS)}.")
        return cls(_open(Path(path)), kind, Path(path).stem)

    def embed(self, pixels: Pixels, landmarks: Plane) -> Plane:
        """The embedding of one face in a picture of any size.

        Args:
            pixels: (H, W, 3) RGB, for example `face.crop`.
            landmarks: (5, 2) px in `pixels`, ordered as `Face.landmarks`: for a crop `face.to_crop(face.landmarks)`.

        Returns:
            (D,) float32 of length 1.
        """
        return self.embed_aligned(align_for_arcface(pixels, landmarks)[None])[0]

    def embed_crops(self, crops: Pixels, landmarks: Plane) -> Plane:
        """The embeddings (N, D) of N pictures (N, S, S, 3) with landmarks (N, 5, 2)."""
        faces = [align_for_arcface(crop, points) for crop, points in zip(crops, landmarks, strict=True)]
        return self.embed_aligned(np.array(faces, np.uint8).reshape(-1, FACE_PX, FACE_PX, 3))

    def embed_aligned(self, faces: Pixels) -> Plane:
        """The embeddings (N, D) of N RGB pictures (N, 112, 112, 3) from `align_for_arcface`."""
        return _to_unit(self._run(faces) + self._run(faces[:, :, ::-1]))

    @staticmethod
    def similarity(a: Plane, b: Plane) -> NDArray[np.float32]:
        """Cosine (...) of embeddings (..., D), in [-1, 1]; 1 for the same picture."""
        lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        return np.asarray(np.clip((a * b).sum(-1) / np.maximum(lengths, 1e-12), -1, 1), np.float32)

    def _run(self, faces: Pixels) -> Plane:
        batches = [
            self._run_batch(faces[start : start + self._batch_size]) for start in range(0, len(faces), self._batch_size)
        ]
        return np.concatenate(batches or [self._run_batch(_blank(1))[:0]])

    def _run_batch(self, faces: Pixels) -> Plane:
        embeddings: Plane = self._run_raw(faces)[self._output].reshape(len(faces), -1)
        return embeddings

    def _run_raw(self, faces: Pixels) -> list[Plane]:
        batch = _to_batch(faces if self.kind == "arcface" else faces[..., ::-1])
        x = np.ascontiguousarray(batch.transpose(0, 2, 3, 1)) if self._channels_last else batch
        outputs: list[Plane] = self._session.run(None, {self._session.get_inputs()[0].name: x})
        return outputs

    def _find_output(self) -> int:
        """Index of the output that is the embedding; AdaFace also gives its norm, a single number, which is ignored."""
        try:
            sizes = [output.size for output in self._run_raw(_blank(1))]
        except Exception as error:  # onnxruntime's errors have no common base
            raise WeightsError(
                f"The net of {self.name} cannot take one face of {FACE_PX} px; export it again."
            ) from error
        wide = [number for number, size in enumerate(sizes) if size > 1]
        if len(wide) != 1:
            raise WeightsError(
                f"The net of {self.name} gives {len(wide)} outputs with more than one number; a face net gives one."
            )
        return wide[0]

    def _takes_two(self) -> bool:
        """Whether the net takes batches; some files are fixed to one face, a few without declaring it."""
        try:
            return len(self._run_raw(_blank(2))[self._output]) == 2
        except Exception:  # onnxruntime's errors have no common base
            return False


def load_recognizer(name: str | Path, kind: str = "arcface") -> AifdRecognizer | OnnxRecognizer:
    """The recognizer "aifd", or one with the net of an ONNX file of that kind.

    Raises:
        WeightsError: when the kind is unknown, the file is missing or no face net.
    """
    return AifdRecognizer.load() if str(name) == AifdRecognizer.name else OnnxRecognizer.load(name, kind)


def arcface_from_image(landmarks: Plane) -> Matrix:
    """The (2, 3) similarity into a picture of 112 px aligned for ArcFace, from landmarks (5, 2) px."""
    return geometry.fit_similarity(landmarks, ARCFACE_POINTS)


def align_for_arcface(pixels: Pixels, landmarks: Plane) -> Pixels:
    """The face (112, 112, 3) aligned for ArcFace nets; black beyond the picture, as in their training."""
    return geometry.warp(pixels, arcface_from_image(landmarks), FACE_PX, FACE_PX, edge="zero")


def _open(path: Path) -> InferenceSession:
    if not path.is_file():
        raise WeightsError(f"There is no face net at {path}; give the path of an .onnx file, or aifd.")
    return open_session(path)


def _has_channels_last(session: InferenceSession, name: str) -> bool:
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 and inputs[0].type == "tensor(float)" else []
    for channels_last, wanted in ((False, (3, FACE_PX, FACE_PX)), (True, (FACE_PX, FACE_PX, 3))):
        if len(shape) == 4 and all(_fits(*sizes) for sizes in zip(shape[1:], wanted, strict=True)):
            return channels_last
    takes = ", ".join(f"{given.type} {given.shape}" for given in inputs)
    raise WeightsError(
        f"The net of {name} takes {takes or 'nothing'}; a face net takes one float picture, 3x{FACE_PX}x{FACE_PX} or "
        f"{FACE_PX}x{FACE_PX}x3."
    )


def _fits(size: int | str | None, wanted: int) -> bool:
    """Whether a declared size allows the wanted one; a name instead of a number allows any."""
    return not isinstance(size, int) or size == wanted


def _to_unit(embeddings: Plane) -> Plane:
    """Embeddings (N, D) of length 1."""
    unit: Plane = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32(1e-12))
    return unit


def _blank(number: int) -> Pixels:
    return np.zeros((number, FACE_PX, FACE_PX, 3), np.uint8)


def _to_batch(pictures: Pixels) -> Plane:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) in [-1, 1]."""
    return np.ascontiguousarray((pictures.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2))
