"""One line for an object of a person."""

import torch

from visionkit.runs.descriptions import describe_object


def test_addresses_are_left_out_of_the_description():
    assert "0x" not in describe_object(object())


def test_a_data_set_of_many_images_is_described_by_its_first():
    class Image:
        shown = 0

        def __repr__(self):
            Image.shown += 1
            return "image"

    assert describe_object([(Image(), 0) for _ in range(50)]).startswith("[(image, 0), (image, 0),")
    assert Image.shown < 10


def test_an_object_is_described_by_its_repr_and_a_class_by_its_name():
    assert describe_object(torch.nn.CrossEntropyLoss()) == "CrossEntropyLoss()"
    assert describe_object(torch.nn.ReLU) == "torch.nn.modules.activation.ReLU"


def test_a_repr_that_fails_or_is_long_does_no_harm():
    class Failing:
        def __repr__(self):
            raise RuntimeError("no")

    class Long:
        def __repr__(self):
            return "a\n" * 500

    assert describe_object(Failing()) == "<Failing instance>"
    assert describe_object(Long()) == "a " * 100 + "..."
