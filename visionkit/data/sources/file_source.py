"""The base class of data sets of image files, whatever their targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from visionkit.data.sources.base import Source
from visionkit.data.sources.recognize import is_structure_name, other_form
from visionkit.errors import UserError

__all__ = ["FileSource"]


@dataclass(frozen=True, kw_only=True)
class FileSource(Source):
    """Image files below a folder.

    Attributes:
        root: The folder of the data set.
        in_channels: The number of channels of an image: 3 decodes RGB, 1 grey.
        val_fraction: The fraction of the training images held out for validation if there is no val split.
        test_fraction: The fraction held out for test if the data set is not divided; 0 makes no test split.
        split_seed: The seed of these random splits; null takes the run's seed.
    """

    root: str | None
    in_channels: Annotated[int, Field(ge=1, le=16)]
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)]
    split_seed: Annotated[int, Field(ge=0)] | None

    @contextmanager
    def naming_other_form(self) -> Iterator[None]:
        """Add to an error of a reader which other form the folder seems to have.

        Raises:
            UserError: That of the block.
        """
        try:
            yield
        except UserError as error:
            form = other_form(self.root, self.name)
            if form is None:
                raise
            raise UserError(f"{error} {form.sentence}") from None

    def refuse_other_form(self, folders: Collection[str]) -> None:
        """Check that folders which are taken for classes are not the parts of a data set of another form.

        Args:
            folders: The names of all of them.

        Raises:
            UserError: If all are named after such parts, or there are none, and the form is known.
        """
        form = other_form(self.root, self.name) if all(map(is_structure_name, folders)) else None
        if form is not None:
            found = f"the folders {', '.join(folders)}, which are no classes" if folders else "no folder of a class"
            raise UserError(f"dataset.root: found {found} in '{self.root}'. {form.sentence}")
