"""What end-to-end tests of several files share."""

import pytest

# 7 and 2 are primes; in three processes the last one has no validation sample.
SIZES = {"train": 12, "val": 1, "test": 3}


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Two classes: 24 images for training, 2 for validation, 7 for the test."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for split, number in SIZES.items():
        for name, shade in (("cat", 60), ("dog", 180)):
            (folder / split / name).mkdir(parents=True)
            for i in range(number + (split == "test" and name == "dog")):
                turned = Image.linear_gradient("L").rotate(17 * i + {"train": 0, "val": 5, "test": 9}[split])
                image = turned.resize((32, 32)).point(lambda v, s=shade: (v + s) // 2)
                image.save(folder / split / name / f"{i}.png")
    return folder
