"""Windows over an image: every pixel is seen, seams are blended, and memory follows the window."""

import gc
import weakref
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from visionkit.data.image_rows import MemoryRows
from visionkit.inference.sliding_window import sliding_window_inference, window_starts


def _by_colour(crops):
    """Probabilities that depend on each pixel alone: one class per third of the grey levels."""
    grey = crops.float().mean(dim=1)
    return torch.stack([-((grey - center) ** 2) for center in (30, 120, 220)], dim=1).div(100).softmax(dim=1)


def _image(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (1, 3, 9, 9), generator=generator, dtype=torch.uint8)
    return F.interpolate(coarse, (height, width))[0]


@pytest.mark.parametrize(
    ("size", "window", "overlap"),
    [
        ((64, 64), (64, 64), 0.25),
        ((50, 40), (64, 512), 0.25),
        ((97, 61), (32, 24), 0.25),
        ((61, 97), (32, 24), 0.0),
        ((33, 200), (32, 32), 0.5),
        ((65, 130), (64, 64), 0.1),
        ((40, 40), (7, 5), 0.75),
    ],
)
def test_each_pixel_gets_the_class_that_it_has_where_only_its_colour_decides(size, window, overlap):
    image = _image(*size)
    mask = sliding_window_inference(_by_colour, MemoryRows(image), window=window, overlap=overlap)
    assert (mask.dtype, tuple(mask.shape)) == (torch.uint8, size)
    assert torch.equal(mask.long(), _by_colour(image[None]).argmax(dim=1)[0])


@pytest.mark.parametrize(
    ("side", "window", "overlap"), [(100, 100, 0.5), (101, 100, 0.0), (999, 64, 0.25), (7, 3, 0.9)]
)
def test_windows_reach_from_edge_to_edge_and_overlap_enough(side, window, overlap):
    starts = window_starts(side, window, overlap)
    assert (starts[0], starts[-1]) == (0, side - window)
    steps = [after - before for before, after in pairwise(starts)]
    assert all(0 < step <= max(1, window * (1 - overlap) + 0.5) for step in steps)


def test_as_few_windows_as_possible_are_looked_at():
    assert window_starts(256, 64, 0.0) == [0, 64, 128, 192]
    assert window_starts(64, 64, 0.9) == [0]


def test_windows_have_the_size_that_was_asked_for_in_images_of_both_orientations():
    for size in ((90, 200), (200, 90)):
        seen = set()

        def look(crops, seen=seen):
            seen.add(tuple(crops.shape[1:]))
            return _by_colour(crops)

        sliding_window_inference(look, MemoryRows(_image(*size)), window=(48, 64))
        assert seen == {(3, 48, 64)}


def test_opinions_are_crossfaded_from_window_to_window():
    """Two windows that disagree: in their common part, what each says counts the less the nearer its edge is."""
    image = torch.zeros(1, 40, 30, dtype=torch.uint8)
    image[:, 20:] = 1  # the window that begins at 10 sees more of it

    def look(crops):
        shares = crops.float().mean(dim=(1, 2, 3))  # 1/3 and 2/3
        second = (shares > 0.5).float()[:, None, None, None].expand(-1, 1, *crops.shape[2:])
        return torch.cat([1 - second, second], dim=1)

    mask = sliding_window_inference(look, MemoryRows(image), window=(30, 30), overlap=2 / 3)
    assert mask[:20].sum() == 0  # the middle of the 20 rows that both windows see
    assert bool(mask[20:].all())


def test_a_window_that_errs_at_its_edges_leaves_no_seam():
    def look(crops):
        found = _by_colour(crops)
        height, width = found.shape[2:]
        rows = torch.minimum(torch.arange(height), torch.arange(height).flip(0))[:, None]
        columns = torch.minimum(torch.arange(width), torch.arange(width).flip(0))
        wrong = (torch.minimum(rows.expand(height, width), columns) < 6).float()
        return found * (1 - wrong) + torch.tensor([0.0, 0.0, 1.0])[:, None, None] * wrong

    image = torch.zeros(3, 120, 150, dtype=torch.uint8)  # the first class everywhere
    assert sliding_window_inference(look, MemoryRows(image), window=(48, 48), overlap=0.5)[6:-6, 6:-6].sum() == 0
    assert sliding_window_inference(look, MemoryRows(image), window=(48, 48), overlap=0.0)[6:-6, 6:-6].sum() > 0


class _Ledger(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, and the most there ever were."""

    def __init__(self):
        super().__init__()
        self.alive, self.most, self.known = 0, 0, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self._enter(tensor.untyped_storage())
        return result

    def _enter(self, storage):
        if storage.data_ptr() in self.known:
            return
        self.known.add(storage.data_ptr())
        size = storage.nbytes()
        self.alive += size
        self.most = max(self.most, self.alive)
        weakref.finalize(storage, self._leave, storage.data_ptr(), size)

    def _leave(self, pointer, size):
        self.known.discard(pointer)
        self.alive -= size


def _most_bytes(side, window):
    image = torch.zeros(3, side, side, dtype=torch.uint8)
    gc.collect()
    with _Ledger() as ledger:
        sliding_window_inference(
            lambda crops: crops.new_ones(len(crops), 10, *crops.shape[2:], dtype=torch.float32),
            MemoryRows(image),
            window=window,
        )
    return ledger.most - 4 * side * side  # without image and result, three bytes and one for each pixel


def test_memory_is_that_of_a_few_windows_and_a_strip_between_them():
    """Of an image 16 times as large: four windows of 10 classes, their products, and the strip."""
    window = 10 * 64 * 64 * 4
    small, large = _most_bytes(256, (64, 64)), _most_bytes(1024, (64, 64))
    strip = 10 * 16 * 1024 * 4
    assert large - small <= 2 * strip
    assert large < 8 * window + 2 * strip < 10 * 1024 * 1024 * 4 / 10
