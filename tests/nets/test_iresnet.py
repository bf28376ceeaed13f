"""The IR trunk of ArcFace: its shapes are those of the paper's table."""

import torch

from reage.nets.dlib_resnet import TrunkConfig
from reage.nets.iresnet import IR50, IrBlock, IrTrunk


def test_every_stage_halves_the_side() -> None:
    trunk = IrTrunk(TrunkConfig(stem=4, stages=((4, 1), (6, 2), (8, 1), (10, 1))))
    maps = trunk(torch.rand(2, 3, 112, 112) * 2 - 1)
    assert [tuple(one.shape) for one in maps] == [(2, 4, 56, 56), (2, 6, 28, 28), (2, 8, 14, 14), (2, 10, 7, 7)]


def test_a_block_adds_to_its_shortcut() -> None:
    block = IrBlock(4, 4, 2).eval()
    torch.nn.init.zeros_(block.residual[-1].weight)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(block(x), x[:, :, ::2, ::2])


def test_ir50_has_50_layers_with_weights() -> None:
    """Two convolutions in each block, the stem, and the embedding that follows."""
    assert 2 * sum(num_blocks for _, num_blocks in IR50.stages) + 2 == 50
    assert [channels for channels, _ in IR50.stages] == [64, 128, 256, 512]
