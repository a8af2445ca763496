"""A table with its images."""

import pytest

from visionkit.data.sources import parse_source


@pytest.fixture
def make_table(settings, save_image, tmp_path):
    """The source of a table with this text; the files ``a.png`` to ``l.png`` exist in ``images``."""
    for index, letter in enumerate("abcdefghijkl"):
        save_image(tmp_path / "images" / f"{letter}.png", seed=index)

    def make(text, *, target="label", name="labels.csv", **changes):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return parse_source(settings("table", file=str(file), image_size=8, **changes)).for_target(target)

    return make
