"""Temporary files of a command: all in one folder, which goes with it."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

__all__ = ["remove_temporary_folder", "use_temporary_folder"]

_NAME, _UNLOCKED_NAME = "visionkit-", ".visionkit-"
_MARKER = ".temporary-folder-of-a-visionkit-command"
"""A file that a folder must hold to be removed: a person may have one of such a name."""
_SECONDS_TO_LOCK = 60
_folders: dict[int, Path] = {}
"""That of this process; a forked one has another id."""


def use_temporary_folder() -> None:
    """Give this process and those it starts a temporary folder of their own, which goes when it exits.

    Workers of data loaders are ended too early to remove their sockets, and a killed command removes nothing: the next
    one removes the folder, which nobody has locked any more, when it starts or, since workers outlive a killed command
    by some seconds, when it ends. Where there are no locks or no folder can be made, the system's own is used.
    """
    _keep_compiled_code_elsewhere()
    folder = _make_folder()
    if folder is not None:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        _folders[os.getpid()] = folder
        atexit.register(remove_temporary_folder)  # before multiprocessing is imported, whose functions come earlier


def remove_temporary_folder() -> None:
    """Remove the folder of this process, if it has one, and abandoned ones; also without `atexit`, if it is called."""
    folder = _folders.pop(os.getpid(), None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_abandoned(folder.parent)


def _make_folder() -> Path | None:
    """A new folder, locked by this process and those forked from it; None where that fails."""
    try:
        import fcntl

        parent = Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        unlocked = Path(tempfile.mkdtemp(prefix=_UNLOCKED_NAME, dir=parent))
        lock = os.open(unlocked, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = unlocked.with_name(_NAME + unlocked.name.removeprefix(_UNLOCKED_NAME))
        (unlocked / _MARKER).touch()
        unlocked.rename(folder)  # locked before others look for abandoned folders of this name
    except (ImportError, OSError):
        return None
    return folder


def _remove_abandoned(parent: Path) -> None:
    """Remove what killed commands of this user have left."""
    import fcntl

    for folder in parent.glob(f"{_UNLOCKED_NAME}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.lstat().st_mtime > _SECONDS_TO_LOCK:
                folder.rmdir()  # if it is empty
    for folder in parent.glob(f"{_NAME}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.getuid() and (folder / _MARKER).is_file():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _keep_compiled_code_elsewhere() -> None:
    """Make torch keep compiled code beside the weights it downloads, and not in the temporary folder.

    Torch makes the folder whenever an optimizer is built, and cannot be imported where it may not.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(os.environ.get("TORCH_HOME") or os.path.join(cache, "torch"), "inductor")
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
