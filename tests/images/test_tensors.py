import numpy as np
import torch

from reage.images.tensors import from_net, to_net


def test_all_256_values_survive_the_round_trip():
    levels = np.arange(256, dtype=np.uint8)
    crops = np.stack([levels, levels[::-1], np.roll(levels, 7)], axis=-1).reshape(1, 16, 16, 3)
    assert np.array_equal(from_net(to_net(crops)), crops)


def test_one_crop_becomes_a_batch_of_one_with_channels_first():
    crop = np.zeros((4, 6, 3), np.uint8)
    crop[..., 0] = 255
    tensor = to_net(crop)
    assert tensor.shape == (1, 3, 4, 6)
    assert tensor.dtype == torch.float32
    assert torch.equal(tensor[0, 0], torch.ones(4, 6))
    assert torch.equal(tensor[0, 1:], -torch.ones(2, 4, 6))


def test_the_tensor_is_channels_last_and_its_own_copy():
    crops = np.zeros((2, 8, 8, 3), np.uint8)
    tensor = to_net(crops)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    tensor.fill_(1)
    assert not crops.any()


def test_flipped_and_read_only_crops_are_taken():
    crop = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    crop.flags.writeable = False
    assert np.array_equal(from_net(to_net(crop[:, ::-1]))[0], crop[:, ::-1])


def test_values_outside_the_range_are_clipped():
    tensor = torch.tensor([-3.0, -1.0, 1.0, 7.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2).requires_grad_()
    assert from_net(tensor)[0, ..., 0].tolist() == [[0, 0], [255, 255]]


def test_half_precision_comes_back_within_one_level():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    back = from_net(to_net(levels).bfloat16())
    assert np.abs(back.astype(int) - levels).max() <= 1
