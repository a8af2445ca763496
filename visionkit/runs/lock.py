"""The lock of a run folder, which one process owns while it trains there."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import BinaryIO

from visionkit.errors import UserError

__all__ = ["LOCK_NAME", "RunLock"]

LOCK_NAME = ".lock"


class RunLock:
    """A lock held until it is released, or its process ends, however it does.

    Args:
        folder: The run folder, which exists.

    Raises:
        UserError: If another process holds it; the message names process and machine.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / LOCK_NAME
        self._stream = self._acquire(folder)
        self._stream.truncate(0)
        self._stream.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._stream.flush()

    def release(self) -> None:
        """Remove the lock; nothing happens if it was removed before."""
        if not self._stream.closed:
            if self.is_in_place():  # after a move, the path may hold the lock of another run
                with contextlib.suppress(OSError):
                    self.file.unlink(missing_ok=True)
            self._stream.close()

    def is_in_place(self) -> bool:
        """Whether the lock is still where it was taken."""
        try:
            return not self._stream.closed and os.path.samestat(os.fstat(self._stream.fileno()), os.stat(self.file))
        except OSError:
            return False

    def _acquire(self, folder: Path) -> BinaryIO:
        while True:
            stream = self.file.open("a+b")
            if not _try_lock(stream):
                stream.seek(0)
                owner = stream.read(200).decode(errors="replace") or "another process"
                stream.close()
                raise UserError(
                    f"run: {owner} is training in '{folder}'. Expected a run that nobody trains. Wait until it is "
                    "done or stop it, or begin a run elsewhere: run_dir=FOLDER"
                )
            self._stream = stream
            if self.is_in_place():
                return stream
            stream.close()  # its owner removed the file between opening and locking


def _try_lock(stream: BinaryIO) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: runs are not locked there
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
