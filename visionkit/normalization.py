"""The mean and standard deviation of pixels where nothing better is known."""

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "default_mean_std"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def default_mean_std(in_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per channel on the scale 0..1: ImageNet's for three channels, 0.5 and 0.5 otherwise."""
    if in_channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    return (0.5,) * in_channels, (0.5,) * in_channels
