"""Files of transfer syntaxes that nothing at hand can write."""

import pytest

from falx.data.read import read_slices
from falx.errors import UnreadableImage


def test_high_throughput_jpeg_2000_is_decoded(syntaxes):
    (slice_,) = read_slices(syntaxes / "HTJ2KLossless_08_RGB.dcm")
    assert slice_.pixels.shape == (480, 640)
    assert slice_.color
    assert slice_.pixels.mean() == pytest.approx(0.537104, abs=1e-6)


def test_high_throughput_jpeg_2000_that_was_cut_off_is_refused(syntaxes):
    file = syntaxes / "HTJ2KLossless_08_RGB.dcm"
    content = file.read_bytes()
    for end in range(1000, len(content) - 20, len(content) // 20):
        with pytest.raises(UnreadableImage):
            read_slices(file, content=content[:end])
