"""What was meant by a ``run=`` that names no run."""

from __future__ import annotations

from visionkit.errors import did_you_mean
from visionkit.files import expand_user, similar_path

__all__ = ["suggest_run"]


def suggest_run(path: str) -> str:
    """Say what was meant: the run in which a file lies, a run of a sweep, ``latest``, or a path like it.

    Returns:
        Sentences that begin with a space; empty if nothing is like it.
    """
    folder = expand_user(path)
    if folder.is_file():
        owner = next((parent for parent in folder.parents if (parent / "config.yaml").is_file()), None)
        if owner is not None:
            return f" It is a file in a run folder. Type run={owner.as_posix()}."
        is_export = folder.suffix.lower() == ".onnx"
        return " It is an exported file, which predict alone takes: predict run=FILE source=..." if is_export else ""
    if folder.is_dir():
        names = sorted((file.parent.name for file in folder.glob("*/config.yaml")), key=lambda name: (len(name), name))
        if not names:
            return ""
        more = " ..." if len(names) > 8 else ""
        return f" It holds the runs {', '.join(names[:8])}{more}. Type one, such as run={folder.as_posix()}/{names[0]}."
    return did_you_mean(path, ["latest"]) or similar_path(path)
