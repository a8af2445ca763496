"""What all pictures share: a few colours, and names cut to a length."""

__all__ = ["FAINT", "INK", "TRAIN", "VALIDATION", "WRONG", "short", "words"]

TRAIN, VALIDATION, INK, FAINT, WRONG = "#8a94a6", "#1f5fbf", "#22262e", "#d9dde4", "#c8321f"


def words(name: str) -> str:
    """A metric's name as a person writes it."""
    return name.replace("_", " ")


def short(name: str, limit: int = 18) -> str:
    """Cut in the middle: names of one data set often begin alike."""
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-(limit // 2 - 1) :]}"
