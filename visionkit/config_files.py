"""Where the shipped configuration lies."""

from functools import lru_cache
from pathlib import Path

__all__ = ["conf_folder"]


@lru_cache(maxsize=1)
def conf_folder() -> Path:
    """The folder ``conf/``: inside the package when installed, beside it in a checkout.

    Raises:
        FileNotFoundError: If the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError("visionkit is not installed completely: conf/config.yaml is missing. Install it again.")
