"""dlib's face recognition net, read from its .dat file and built as an ONNX graph.

Every convolution of dlib's net is followed by a fixed scale and shift; both are folded into the convolution, which
saves a pass over the activations. The weights are stored in 16 bits; a runtime casts them once.

Convention:
    the graph takes RGB chips (batch, 3, 150, 150) in [-1, 1] and gives embeddings (batch, 128). Its weights are named
    as those of `reage.nets.dlib_resnet.DlibResNet`, which reads them from the ONNX file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reage.types import Plane

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET = 17
_IR_VERSION = 8
_CHIP_PX = 150
_STEM, _STEM_PX = 32, 7
"""Channels and kernel of the first convolution."""
_STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and number of blocks of each stage; the first block of all but the first stage halves the resolution."""
_SIZE = 128
_MEAN_COLOUR = np.array([122.782, 117.001, 104.298], np.float32)
_LAYERS = re.compile(rb"\x05con_4|\x07affine_|\x04fc_2")


def build_recognizer(content: bytes) -> ModelProto:
    """The ONNX model of the bytes of dlib_face_recognition_resnet_model_v1.dat.

    Raises:
        ValueError, IndexError, StopIteration: when they are something else.
    """
    from onnx import TensorProto, checker, helper

    layers, graph = read_layers(content), _Graph()
    scaled = graph.add("Mul", "chips", graph.constant("scale", np.array(127.5 / 256, np.float32)))
    shift = graph.constant("shift", ((127.5 - _MEAN_COLOUR) / 256)[:, None, None])
    x = _Map(graph.add("Add", scaled, shift), 3, _CHIP_PX)
    x = graph.convolve(x, "trunk.stem", _STEM, layers, kernel=_STEM_PX, stride=2, padding=0)
    stem = graph.add("MaxPool", graph.add("Relu", x.name), kernel_shape=[3, 3], strides=[2, 2])
    x = _Map(stem, _STEM, (x.side - 3) // 2 + 1)
    for stage, (channels, num_blocks) in enumerate(_STAGES):
        for block in range(num_blocks):
            x = _add_block(graph, x, f"trunk.stages.{stage}.{block}", channels, layers, halve=stage > 0 and block == 0)
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", x.name))
    head = graph.weight("head.weight", next(layers).reshape(x.channels, _SIZE).T)
    graph.add("Gemm", pooled, head, transB=1, output="embeddings")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "face-recognizer",
            [helper.make_tensor_value_info("chips", TensorProto.FLOAT, ["batch", 3, _CHIP_PX, _CHIP_PX])],
            [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", _SIZE])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
    )
    checker.check_model(model, full_check=True)
    return model


class _Map(NamedTuple):
    """A feature map: the name of its value, channels and side."""

    name: str
    channels: int
    side: int


class _Graph:
    """The nodes and constants of a graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Adds a node; the name of its output, which is numbered unless it is given."""
        from onnx import helper

        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Adds a constant; its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str, values: Plane) -> str:
        """Adds a weight, stored in 16 bits; the name of its value in 32."""
        from onnx import TensorProto

        return self.add("Cast", self.constant(name, values.astype(np.float16)), to=TensorProto.FLOAT)

    def convolve(
        self, x: _Map, name: str, channels: int, layers: Iterator[Plane], *, kernel: int, stride: int, padding: int
    ) -> _Map:
        """Adds a convolution with the scale and shift that follow it in dlib's file."""
        filters, (gains, shifts) = next(layers), np.split(next(layers), 2)
        weights = filters[:-channels].reshape(channels, x.channels, kernel, kernel) * gains[:, None, None, None]
        biases = filters[-channels:] * gains + shifts
        stored = self.weight(f"{name}.weight", weights), self.weight(f"{name}.bias", biases)
        convolved = self.add("Conv", x.name, *stored, strides=[stride] * 2, pads=[padding] * 4)
        return _Map(convolved, channels, (x.side + 2 * padding - kernel) // stride + 1)

    def pad(self, x: _Map, channels: int, side: int) -> str:
        """Adds zeros at the far side of a map where it is smaller."""
        if (x.channels, x.side) == (channels, side):
            return x.name
        ends = [0, channels - x.channels, side - x.side, side - x.side]
        return self.add("Pad", x.name, self.constant(f"pads_{x.name}", np.array([0, 0, 0, 0, *ends], np.int64)))


def _add_block(graph: _Graph, x: _Map, name: str, channels: int, layers: Iterator[Plane], *, halve: bool) -> _Map:
    """Adds a residual block of two 3x3 convolutions; the smaller of branch and shortcut is zero-padded."""
    stride, padding = (2, 0) if halve else (1, 1)
    first = graph.convolve(x, f"{name}.first", channels, layers, kernel=3, stride=stride, padding=padding)
    first = first._replace(name=graph.add("Relu", first.name))
    residual = graph.convolve(first, f"{name}.second", channels, layers, kernel=3, stride=1, padding=1)
    if halve:
        pooled = graph.add("AveragePool", x.name, kernel_shape=[2, 2], strides=[2, 2])
        x = _Map(pooled, x.channels, x.side // 2)
    channels, side = max(x.channels, residual.channels), max(x.side, residual.side)
    total = graph.add("Add", graph.pad(x, channels, side), graph.pad(residual, channels, side))
    return _Map(graph.add("Relu", total), channels, side)


def read_layers(content: bytes) -> Iterator[Plane]:
    """Flat parameters of each layer of a dlib file: convolution (weights, biases), scale (gains, shifts), matrix."""
    for layer in _LAYERS.finditer(content):
        offset = layer.end()
        if layer.group().endswith(b"fc_2"):
            for _ in range(2):  # how many outputs and inputs
                _, offset = _read_integer(content, offset)
        yield _read_numbers(content, offset)


def _read_numbers(content: bytes, offset: int) -> Plane:
    version, offset = _read_integer(content, offset)
    if version != 2:
        raise ValueError(f"tensor version {version}")
    sizes = []
    for _ in range(4):
        size, offset = _read_integer(content, offset)
        sizes.append(size)
    return np.frombuffer(content, "<f4", math.prod(sizes), offset).astype(np.float32)


def _read_integer(content: bytes, offset: int) -> tuple[int, int]:
    """Dlib's integers: a byte with sign (bit 7) and length (low bits), then the magnitude; returns the next offset."""
    end = offset + 1 + (content[offset] & 0x0F)
    magnitude = int.from_bytes(content[offset + 1 : end], "little")
    return (-magnitude if content[offset] & 0x80 else magnitude), end
