"""Batches of two pictures of each person, at two ages."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator

from reage.data.augment import AugmentConfig
from reage.measure.recognizers import make_chip
from reage.training.aifd.dataset import AifdDataset, AifdDatasetConfig, CrossAgeFaces, make_cross_age_faces
from reage.training.cross_age import CrossAgeDataset

PLAIN = AugmentConfig(
    **dict.fromkeys(AugmentConfig.__dataclass_fields__, 0.0) | {"max_blur_px": 1.0, "max_downscale": 1.0}
)
TEACHER = torch.arange(8.0)[:, None].repeat(1, 3)


def test_faces_lie_as_dlibs_net_takes_them(cross_age: CrossAgeDataset) -> None:
    faces = make_cross_age_faces(cross_age)
    assert faces.chips.shape == (8, 5, 150, 150, 3)
    np.testing.assert_array_equal(faces.chips[3, 0], make_chip(cross_age.crops[3], cross_age.landmarks[3]))
    np.testing.assert_array_equal(faces.chips[3, 2], make_chip(cross_age.aged[3, 1], cross_age.landmarks[3]))
    np.testing.assert_array_equal(faces.age_years[3], [38, 10, 30, 50, 70])
    assert faces.is_man.tolist() == [False] * 4 + [True] * 4
    assert faces.num_people == 6


def test_picked_people_are_numbered_anew(faces: CrossAgeFaces) -> None:
    picked = faces.pick(faces.person >= 2)
    assert (len(picked), picked.person.tolist()) == (4, [0, 1, 2, 3])
    np.testing.assert_array_equal(picked.chips, faces.chips[4:])


def test_a_batch_holds_two_ages_of_different_people(faces: CrossAgeFaces) -> None:
    dataset, generator = AifdDataset(faces, TEACHER, AifdDatasetConfig(augment=PLAIN)), Generator().manual_seed(0)
    for _ in range(5):
        batch = dataset.sample(4, generator)
        people = batch.person.reshape(4, 2)
        assert (people[:, 0] == people[:, 1]).all()
        assert len(set(people[:, 0].tolist())) == 4
        photos = batch.teacher[:, 0].long()
        assert faces.person[photos].tolist() == batch.person.tolist()
        for x, photo, years in zip(batch.x, photos, batch.age_years, strict=True):
            version = faces.age_years[photo].tolist().index(years)
            expected = torch.from_numpy(faces.chips[photo, version]).permute(2, 0, 1) / 127.5 - 1
            torch.testing.assert_close(x, expected, atol=0.02, rtol=0)
        for person, two_photos, years in zip(
            people[:, 0].tolist(), photos.reshape(4, 2).tolist(), batch.age_years.reshape(4, 2).tolist(), strict=True
        ):
            if person < 2:
                assert two_photos[0] != two_photos[1]
            else:
                assert years[0] != years[1]


def test_people_with_several_photos_are_drawn_more_often(faces: CrossAgeFaces) -> None:
    def share(weight: float) -> float:
        dataset = AifdDataset(faces, TEACHER, AifdDatasetConfig(several_photos_weight=weight, augment=PLAIN))
        generator = Generator().manual_seed(0)
        return float(np.mean([(dataset.sample(1, generator).person < 2).float().mean() for _ in range(120)]))

    assert share(1.0) < 0.45
    assert share(20.0) > 0.8


def test_a_batch_depends_on_the_generator_alone(faces: CrossAgeFaces) -> None:
    dataset = AifdDataset(faces, TEACHER, AifdDatasetConfig())
    first, again, other = (dataset.sample(3, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)
