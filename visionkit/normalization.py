"""Default mean and standard deviation of pixel values."""

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "default_mean_std"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def default_mean_std(in_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel for pixels in 0..1: ImageNet's for three channels, else 0.5 for both."""
    if in_channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    return (0.5,) * in_channels, (0.5,) * in_channels
