import io

import numpy as np
import PIL.Image
import pytest

from reage.errors import ImageError
from reage.images import load_image
from tests.images.pictures import assert_one_sentence

NOISE = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 300, 3)).astype(np.uint8))


def encode(picture=NOISE, **options):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(("kept", "lost"), [(1.0, "no row is lost"), (0.97, "of its rows are lost")])
def test_a_jpeg_without_its_last_bytes_is_read_with_a_note(tmp_path, kept, lost, mode):
    whole = encode(NOISE.convert(mode))
    (tmp_path / "a.jpg").write_bytes(whole[: int(kept * len(whole)) - 2])
    image = load_image(tmp_path / "a.jpg")
    exact = np.asarray(PIL.Image.open(io.BytesIO(whole)).convert("RGB"))
    same = (image.pixels == exact).all((1, 2))
    assert same[: int(0.95 * 400)].all()
    assert "cut short" in image.notes[0]
    assert lost in image.notes[0]
    if kept < 1:
        share = float(image.notes[0].split("last ")[1].split(" %")[0])
        assert abs(share - 3) < 2.5
    else:
        assert same.all()


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.93])
def test_half_a_jpeg_is_refused(tmp_path, kept):
    whole = encode()
    (tmp_path / "a.jpg").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.jpg")
    assert_one_sentence(refusal, "cut short")


def test_a_progressive_jpeg_that_is_cut_short_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(progressive=True)[:-400])
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.jpg")
    assert_one_sentence(refusal, "cut short")
