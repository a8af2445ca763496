"""The base class of predictions."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.files import expand_user
from visionkit.schema import describe

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Prediction", "optional_package"]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(ABC):
    """What a model says of one image.

    Attributes:
        outputs: The values as the task's inference gives them, on the CPU.
        class_names: The classes of the model, in the order of their ids.
        size: Height and width of the image in pixels.
        path: The file of the image; None for one in memory.
        category_ids: The data set's own id of each class.
        min_score: Objects with a lower score are not drawn; None for the default.
        read_image: Gives the pixels of the image, (C, h, w), for pictures, and the divisor of its sides: 1, or more
            where it is too large to be drawn whole.
    """

    outputs: Mapping[str, Any]
    class_names: tuple[str, ...]
    size: tuple[int, int]
    path: Path | None
    category_ids: tuple[int | str, ...]
    min_score: float | None
    read_image: Callable[[], tuple[Any, int]]

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain numbers, texts, lists and dicts, which `json.dumps` takes."""

    @abstractmethod
    def draw(self) -> Image.Image:
        """The image with the prediction on it; small images are enlarged by a whole factor.

        Returns:
            A Pillow image of mode RGB.

        Raises:
            UserError: If the file of the image cannot be read any more.
        """

    def save(self, path: str | Path) -> None:
        """Write the picture of `draw` to a file.

        Args:
            path: A file that ends in ``.jpg``, ``.jpeg`` or ``.png``.

        Raises:
            UserError: If the ending is another, it is the file of the image itself, or cannot be written.
        """
        from visionkit.report.image_grid import write_picture

        if not isinstance(path, str | os.PathLike):
            raise UserError(f"save: found {describe(path)}. Expected a file, such as out.jpg.")
        target = expand_user(path)
        if target.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            raise UserError(f"save: '{target}' ends in '{target.suffix}'. Expected .png or .jpg, such as out.jpg.")
        if self.path is not None and target.exists() and self.path.exists() and target.samefile(self.path):
            raise UserError(f"save: '{target}' is the image itself, which would be lost. Expected another file.")
        try:
            write_picture(self.draw(), target)
        except OSError as error:
            raise UserError(f"save: '{target}' cannot be written: {error.strerror}.") from None

    @abstractmethod
    def _summary(self) -> str:
        """The prediction in a few words."""

    def __repr__(self) -> str:
        of = "" if self.path is None else f" of '{self.path}'"
        return f"<{type(self).__name__}{of}: {self._summary()}>"

    def _repr_png_(self) -> bytes:
        """The picture, for notebooks."""
        buffer = io.BytesIO()
        self.draw().save(buffer, format="PNG")
        return buffer.getvalue()

    def _names(self, class_ids: Sequence[int]) -> list[str]:
        return [self.class_names[class_id] for class_id in class_ids]


def optional_package(name: str, method: str) -> Any:
    """Import a package that a method needs.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"{method}() needs the package '{name}', which is not installed. pip install {name}") from None
