"""Exports trained nets to the ONNX files that come with reage and run without torch."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reage.errors import WeightsError
from reage.files import replace_file
from reage.nets.segmentation import MAP_CHANNELS, SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.convert import halve_weights, store_metadata
from reage.weights import load_torch_weights, made_for

_OPSET = 17


class _Shares(nn.Module):
    """The face parser as it is exported: it gives shares instead of logits."""

    def __init__(self, net: SegmentationNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor, face_map: Tensor) -> Tensor:
        shares: Tensor = self.net(picture, face_map).softmax(1)
        return shares


def export_face_parser(weights: str | Path, output: str | Path) -> Path:
    """Writes the ONNX file of a face parser that `reage training fit face-parser` made.

    Its normalisations are folded into the convolutions, whose weights are stored in 16 bits. The config, recipe, seed
    and commit of the weights file are stored inside.

    Raises:
        WeightsError: when the weights are not of a face parser, or the file cannot be written.
    """
    import onnx

    tensors, config = load_torch_weights(weights)
    with made_for(weights, "a face parser"):
        settings = config["net"]
        net = build_segmentation_net(
            SegmentationNetConfig(input_px=settings["input_px"], widths=tuple(settings["widths"]))
        )
        net.load_state_dict(tensors)
    px = net.config.input_px
    inputs = (torch.zeros(1, 3, px, px), torch.zeros(1, MAP_CHANNELS, px // 2, px // 2))
    with tempfile.TemporaryDirectory(prefix="reage-") as folder:
        torch.onnx.export(
            _Shares(fold_normalisation(net)).eval(),
            inputs,
            Path(folder) / "net.onnx",
            input_names=["picture", "face_map"],
            output_names=["shares"],
            opset_version=_OPSET,
            dynamo=False,
        )
        model = onnx.load(Path(folder) / "net.onnx")
    halve_weights(model)
    store_metadata(model, _to_text(config))
    with replace_file(output, WeightsError) as unfinished:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(model.SerializeToString(deterministic=True))
    return Path(output)


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


def _to_text(config: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in config.items()
    }
