"""Augmentations as a configuration writes them."""

from visionkit.data.augment.image import Augment
from visionkit.data.augment.joint import JointAugment
from visionkit.data.augment.parsing import parse_augments
from visionkit.data.augment.spec import AUGMENTATIONS

WHERE = "dataset.augment"


def augment(values, image_size):
    """The augmentation of labelled images."""
    return Augment(parse_augments(values, where=WHERE), image_size)


def joint_augment(values, transform, **options):
    """The augmentation of images with boxes or masks."""
    return JointAugment(parse_augments(values, where=WHERE), transform, **options)


def names_for(target):
    """The names of all augmentations that support a target."""
    return {name for name in AUGMENTATIONS.names() if AUGMENTATIONS.get(name).supports([target])}
