"""Pages of text and pictures."""

from __future__ import annotations

import numpy as np

from reage.images.pages import TextLine, draw_page, encode_pdf


def test_a_page_holds_text_and_pictures() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    page = draw_page([TextLine("Title", size=2), TextLine("word " * 60, boxed=True)], [(red, "red")], [TextLine("end")])
    assert page.shape == (1754, 1240, 3)
    assert ((page == (255, 0, 0)).all(-1)).sum() > 90_000
    assert (page[60:140] < 128).any()


def test_a_pdf_has_the_pages() -> None:
    content = encode_pdf([np.full((100, 80, 3), 255, np.uint8)] * 2, title="Two")
    assert content.startswith(b"%PDF")
    assert b"/Count 2" in content
    assert b"%%EOF" in content[-16:]
