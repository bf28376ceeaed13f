"""Exports trained nets to the ONNX files that come with reage and run without torch."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reage.engines.amgan import NET_PX
from reage.errors import WeightsError
from reage.files import replace_file
from reage.measure.age import ESTIMATES
from reage.mesh_points import NUM_SURFACE
from reage.nets import reenactment_config
from reage.nets.age import AgeNet, load_age_net
from reage.nets.agetransgan import load_generator as load_agetransgan_generator
from reage.nets.agetransgan_config import NUM_GROUPS
from reage.nets.aifd import load_aifd
from reage.nets.amgan import Generator, load_generator
from reage.nets.amgan_config import NUM_PLANES
from reage.nets.deaging import load_deaging_net
from reage.nets.landmark_transfer import load_landmark_transfer
from reage.nets.pix2pix import load_unet
from reage.nets.pix2pix_config import SKETCH_PX
from reage.nets.reenactment import load_face_generator
from reage.nets.reenactment_config import REENACTMENT_PX
from reage.nets.segmentation import MAP_CHANNELS, SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.convert import halve_weights, store_metadata
from reage.weights import find_weights, format_metadata, load_torch_weights, made_for

if TYPE_CHECKING:
    from onnx import ModelProto

_OPSET = 17


def export(weights: str | Path, output: str | Path | None = None) -> Path:
    """Writes the ONNX file of weights that `reage training fit` made; what net they are of is stored inside.

    The config, recipe, seed and commit of the weights are stored in the file, and the weights in 16 bits, under their
    own names: `reage.weights.load_torch_weights` reads both back.

    Args:
        weights: name of shipped weights, or path of a file.
        output: ONNX file; by default one of the same name in the current folder.

    Raises:
        WeightsError: when the weights are not of a net of `EXPORTS`, or the file cannot be written.
    """
    path = find_weights(weights)
    name = str(load_torch_weights(path)[1].get("name"))
    if name not in EXPORTS:
        raise WeightsError(f"The weights in {path} are not of a net that can be exported: {', '.join(EXPORTS)}.")
    return EXPORTS[name](path, output or f"{path.stem}.onnx")


class _Whole(nn.Module):
    """A net that is exported as it is."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> Any:
        return self.net(*inputs)


# Age estimator


class _Estimates(nn.Module):
    """The age estimator as it is exported: it takes the inputs of its trunk, and gives `ESTIMATES`."""

    def __init__(self, net: AgeNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        logits, masculinity = self.net.classify(inputs)
        return *self.net.interpret(logits, masculinity), self.net.expected_age(logits)


def export_age_estimator(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of an age estimator, see `reage.measure.age.AgeEstimator`; the calibration is part of it.

    Raises:
        WeightsError: when the weights are not of an age estimator, or the file cannot be written.
    """
    net = load_age_net(weights)
    inputs = {f"crop_{number}": torch.zeros(2, 3, px, px) for number, (_, px) in enumerate(net.config.input_crops)}
    model = _trace(_Estimates(net), inputs, ESTIMATES, batches=True)
    return _save(model, load_torch_weights(weights)[1], output)


# Generator of AMGAN


class _Change(nn.Module):
    """The generator as it is exported: it gives the change and the attention."""

    def __init__(self, net: Generator) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.net.predict_change(picture, planes)


def export_generator(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of AMGAN's generator, see `reage.engines.amgan.AmganEngine`.

    Raises:
        WeightsError: when the weights are not of that generator, or the file cannot be written.
    """
    net = load_generator(weights)
    inputs = {
        "picture": torch.zeros(1, 3, NET_PX[0], NET_PX[0]),
        "planes": torch.zeros(1, NUM_PLANES, NET_PX[0], NET_PX[0]),
    }
    model = _trace(_Change(net), inputs, ("change", "attention"), any_side=True)
    return _save(model, load_torch_weights(weights)[1], output)


# Generator of AgeTransGAN


def export_agetransgan(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of AgeTransGAN's generator, see `reage.engines.agetransgan.AgeTransGanEngine`.

    Raises:
        WeightsError: when the weights are not of that generator, or the file cannot be written.
    """
    net = load_agetransgan_generator(weights)
    px = net.config.picture_px
    inputs = {"picture": torch.zeros(2, 3, px, px), "label": torch.full((2, NUM_GROUPS), 1 / NUM_GROUPS)}
    model = _trace(_Whole(net), inputs, ("aged",), batches=True, fold=False)
    return _save(model, load_torch_weights(weights)[1], output)


# De-aging net


def export_deaging_net(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of a de-aging net, see `reage.engines.deaging.DeagingEngine`.

    Raises:
        WeightsError: when the weights are not of that net, or the file cannot be written.
    """
    net = load_deaging_net(weights)
    picture = torch.zeros(1, 3, net.config.picture_px, net.config.picture_px)
    model = _trace(_Whole(net), {"picture": picture}, ("young", "old"))
    return _save(model, load_torch_weights(weights)[1], output)


# Face generator of reenactment


def export_face_generator(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of the face generator, see `reage.nets.reenactment`.

    Raises:
        WeightsError: when the weights are not of that generator, or the file cannot be written.
    """
    net, side = load_face_generator(weights), REENACTMENT_PX
    inputs = {
        "planes": torch.zeros(1, reenactment_config.NUM_PLANES, side, side),
        "source": torch.zeros(1, 3, side // 2, side // 2),
    }
    return _save(_trace(_Whole(net), inputs, ("picture",)), load_torch_weights(weights)[1], output)


# Landmark transfer


def export_landmark_transfer(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of landmark transfer, see `reage.faces.expression_transfer`.

    Raises:
        WeightsError: when the weights are not of that net, or the file cannot be written.
    """
    net = load_landmark_transfer(weights)
    face, change = torch.zeros(1, NUM_SURFACE, 3), torch.zeros(1, net.config.num_scores)
    inputs = {"source": face, "driver": face.clone(), "change": change}
    return _save(_trace(_Whole(net), inputs, ("moved",)), load_torch_weights(weights)[1], output)


# Sketch nets


def export_sketch_net(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of a sketch net, photo to sketch or sketch to photo, see `reage.sketch`.

    Raises:
        WeightsError: when the weights are not of a sketch net, or the file cannot be written.
    """
    net = load_unet(weights)
    source = torch.zeros(1, net.config.channels_in, SKETCH_PX, SKETCH_PX)
    model = _trace(_Whole(net), {"source": source}, ("drawn",), fuse=False)
    return _save(model, load_torch_weights(weights)[1], output)


# Face parser


class _Shares(nn.Module):
    """The face parser as it is exported: it gives shares instead of logits."""

    def __init__(self, net: SegmentationNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor, face_map: Tensor) -> Tensor:
        shares: Tensor = self.net(picture, face_map).softmax(1)
        return shares


def export_face_parser(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of a face parser; its normalisations are folded into the convolutions.

    Raises:
        WeightsError: when the weights are not of a face parser, or the file cannot be written.
    """
    tensors, config = load_torch_weights(weights)
    with made_for(weights, "a face parser"):
        settings = config["net"]
        net = build_segmentation_net(
            SegmentationNetConfig(input_px=settings["input_px"], widths=tuple(settings["widths"]))
        )
        net.load_state_dict(tensors)
    px = net.config.input_px
    inputs = {"picture": torch.zeros(1, 3, px, px), "face_map": torch.zeros(1, MAP_CHANNELS, px // 2, px // 2)}
    return _save(_trace(_Shares(fold_normalisation(net)), inputs, ("shares",)), config, output)


def fold_normalisation(net: SegmentationNet) -> SegmentationNet:
    """The net without batch normalisation, whose weights 16 bits hold exactly."""
    folded = copy.deepcopy(net).eval()
    for block in (*folded.down, *folded.up):
        assert isinstance(block, nn.Sequential)
        for place, layer in enumerate(block):
            if isinstance(layer, nn.BatchNorm2d):
                convolution = block[place - 1]
                assert isinstance(convolution, nn.Conv2d)
                block[place - 1], block[place] = fuse_conv_bn_eval(convolution, layer), nn.Identity()
    for parameter in folded.parameters():
        parameter.data = parameter.data.half().float()
    return folded


# Age-invariant identity encoder


def export_aifd(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of an age-invariant identity encoder, see `reage.measure.AifdRecognizer`.

    That of a net of 112 px is a file for `reage.measure.OnnxRecognizer`.

    Raises:
        WeightsError: when the weights are not of that encoder, or the file cannot be written.
    """
    net = load_aifd(weights)
    inputs = {"chips": torch.zeros(2, 3, net.config.input_px, net.config.input_px)}
    model = _trace(_Whole(net), inputs, ("embeddings", "age_years"), batches=True)
    return _save(model, load_torch_weights(weights)[1], output)


EXPORTS: Mapping[str, Callable[[str | Path, str | Path], Path]] = MappingProxyType(
    {
        "age-a": export_age_estimator,
        "age-b": export_age_estimator,
        "agetransgan": export_agetransgan,
        "aifd": export_aifd,
        "amgan": export_generator,
        "deaging": export_deaging_net,
        "deaging-published": export_deaging_net,
        "face-parser": export_face_parser,
        "landmark-transfer": export_landmark_transfer,
        "reenactment": export_face_generator,
        "sketch": export_sketch_net,
        "sketch-to-photo": export_sketch_net,
    }
)
"""Recipe -> the function (weights, output) that exports what it trains."""


# ONNX


def _trace(
    exported: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    *,
    batches: bool = False,
    any_side: bool = False,
    fold: bool = True,
    fuse: bool = True,
) -> ModelProto:
    """The ONNX model of a module around `exported.net`.

    Args:
        exported: in its constants, the weights of its `net` have their own names.
        inputs: name -> an example.
        outputs: their names.
        batches: whether the first size of inputs and outputs may be any.
        any_side: whether the last two sizes of inputs and outputs, pictures, may be any.
        fold: whether what follows from the weights alone is stored as further constants, not computed when loaded.
        fuse: whether batch normalisations become part of the convolutions before them, whose weights are then stored
            twice, as their own and as the fused ones.
    """
    import onnx

    axes = ({0: "batch"} if batches else {}) | ({2: "height", 3: "width"} if any_side else {})
    sizes = dict.fromkeys((*inputs, *outputs), axes) if axes else None
    with tempfile.TemporaryDirectory(prefix="reage-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on sizes that are constants here
        torch.onnx.export(
            exported.eval(),
            tuple(inputs.values()),
            Path(folder) / "net.onnx",
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=sizes,
            opset_version=_OPSET,
            do_constant_folding=fold,
            dynamo=False,
            training=torch.onnx.TrainingMode.EVAL if fuse else torch.onnx.TrainingMode.PRESERVE,
        )
        model = onnx.load(Path(folder) / "net.onnx")
    net = exported.net
    assert isinstance(net, nn.Module)
    _name_weights(model, net.state_dict())
    return model


def _name_weights(model: ModelProto, weights: Mapping[str, Tensor]) -> None:
    """Makes the weights, under their own names, all constants of a model; others become nodes."""
    from onnx import helper, numpy_helper

    graph = model.graph
    names = {f"net.{name}": name for name in weights}
    others = [constant for constant in graph.initializer if constant.name not in names]
    constants = [helper.make_node("Constant", [], [other.name], value=other) for other in others]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    nodes = [*constants, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(numpy_helper.from_array(value.numpy(), name) for name, value in weights.items())
    graph.node.extend(nodes)


def _save(model: ModelProto, config: Mapping[str, Any], output: str | Path) -> Path:
    """Writes the file, with its weights in 16 bits and the config inside."""
    halve_weights(model)
    store_metadata(model, format_metadata(config))
    with replace_file(output, WeightsError) as unfinished:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(model.SerializeToString(deterministic=True))
    return Path(output)
