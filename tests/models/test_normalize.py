"""Bytes become floats, and what lies outside an image zeros."""

import torch
from torchvision.transforms.v2 import functional as V

from visionkit.models.normalize import Normalize


def images(n=4, channels=1, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def test_preprocess_equals_torchvisions_to_dtype_and_normalize():
    x = images(channels=3)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    expected = V.normalize(V.to_dtype(x, torch.float32, scale=True), mean, std)
    torch.testing.assert_close(Normalize(mean, std)(x), expected, rtol=1e-5, atol=1e-5)


def test_pixels_outside_the_image_are_zero_after_normalisation():
    out = Normalize((0.5,), (0.5,))(images(2), torch.tensor([[32, 20], [10, 32]]))
    assert out[0, :, :, 20:].abs().max() == out[1, :, 10:].abs().max() == 0
    assert out[0, :, :, :20].abs().min() > 0


def test_preprocess_is_exact_in_double_precision():
    module = Normalize((0.485,), (0.229,)).double()
    x = images(1)
    expected = (x.double() / 255 - 0.485) / 0.229
    torch.testing.assert_close(module(x), expected, rtol=1e-13, atol=1e-13)
