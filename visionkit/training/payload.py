"""What a person gives in Python, sent to the processes of a run through the launcher's private folder."""

from __future__ import annotations

import pickle
import runpy
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from visionkit.errors import UserError
from visionkit.registry import note_own_code
from visionkit.runs.descriptions import describe_object, describe_type
from visionkit.runs.objects import RunObjects

__all__ = ["Payload", "check_callbacks", "check_not_imported", "pack", "unpack"]

_MAIN = "__main__"
_state: dict[str, Any] = {"importing": None, "modules": []}


@dataclass(frozen=True)
class Payload:
    """Objects that a process of a run needs beside its configuration.

    Attributes:
        objects: Of the configuration.
        callbacks: Lightning's.
        logger: A Lightning logger, a list of them, False for none, or None for that of the configuration.
    """

    objects: RunObjects
    callbacks: tuple[Any, ...] = ()
    logger: Any = None

    @property
    def named(self) -> dict[str, Any]:
        """Each object by the name that messages give it."""
        loggers = self.logger if isinstance(self.logger, list | tuple) else [self.logger] if self.logger else []
        return {
            **self.objects.named,
            **{f"callbacks[{i}]": each for i, each in enumerate(self.callbacks)},
            **{f"logger[{i}]": each for i, each in enumerate(loggers)},
        }


def pack(payload: Payload, *, num_processes: int) -> bytes | None:
    """What `unpack` reads in another process of this user; None where there is nothing to send.

    Raises:
        UserError: If an object cannot be pickled, or its class is defined in a notebook; names it, and why.
    """
    if not payload.named and payload.logger is None:
        return None
    try:
        data = pickle.dumps(payload)
    except Exception as error:
        raise _unsendable(payload, error, num_processes) from error
    main = _main_source() if _MAIN.encode() in data else {}
    if main is None:
        name = next((n for n, each in payload.named.items() if _MAIN.encode() in pickle.dumps(each)), "an object")
        raise UserError(
            f"{name}: its class or function is defined in a notebook or an interactive session, where the "
            f"{num_processes} processes of the run do not find it. Expected one of a module: move it into a .py file "
            "and import it, or try hardware.devices=1"
        )
    return pickle.dumps({"path": [path for path in sys.path if path], "argv": sys.argv, "main": main, "data": data})


def unpack(data: bytes) -> Payload:
    """The objects, in a process that the launcher has started; a script that defines some of them is imported first.

    Raises:
        UserError: If they cannot be made again here.
    """
    sent = pickle.loads(data)  # written by the launching process, into a folder of this user alone
    sys.path += [path for path in sent["path"] if path not in sys.path]
    try:
        if sent["main"]:
            _import_main(sent["main"], sent["argv"])
        payload: Payload = pickle.loads(sent["data"])
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"the objects of this run cannot be made in its processes: {type(error).__name__}: {error}. Expected "
            "classes and functions at the top of a module that can be imported. Try: hardware.devices=1"
        ) from error
    note_own_code(payload.named.values())
    return payload


def check_not_imported() -> None:
    """Check that no process is importing a script for its classes, which would start the script's run in it again.

    Raises:
        UserError: If one is.
    """
    if _state["importing"] is not None:
        raise UserError(
            f"'{_state['importing']}' starts a run wherever it is imported, and the processes of the run import it for "
            'the objects that it defines. Expected the call below a guard: if __name__ == "__main__":'
        )


def _unsendable(payload: Payload, error: Exception, num_processes: int) -> UserError:
    name, value = "an object", None
    for keyword, each in payload.named.items():
        try:
            pickle.dumps(each)
        except Exception as own_error:
            name, value, error = keyword, each, own_error
            break
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{name}: {describe_object(value)} cannot be sent to the {num_processes} processes of the run: {reason}. "
        "Expected what pickle can write: classes and functions at the top of a module, no lambda and none defined in a "
        "function. Try to move it there, or hardware.devices=1"
    )


def _main_source() -> dict[str, str] | None:
    """Where the module that was started lies: its name or its file; None in a notebook or an interactive session."""
    main = sys.modules[_MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in (_MAIN, "builtins"):
        return {"name": spec.name}
    file = getattr(main, "__file__", None)
    return {"file": file} if file and file.endswith(".py") else None


def _import_main(source: dict[str, str], argv: list[str]) -> None:
    """Import the module that was started as ``__main__``, below its guard, as `multiprocessing` does for its own."""
    _state["importing"] = source.get("file") or source["name"]
    module, own_argv = types.ModuleType("__mp_main__"), sys.argv
    sys.argv = list(argv)
    try:
        run: Any = runpy.run_path if "file" in source else runpy.run_module
        module.__dict__.update(run(next(iter(source.values())), run_name="__mp_main__"))
    finally:
        _state["importing"], sys.argv = None, own_argv
    _state["modules"].append(sys.modules[_MAIN])  # this program's own functions go on in it
    sys.modules[_MAIN] = sys.modules["__mp_main__"] = module


def check_callbacks(callbacks: Sequence[Any], logger: Any) -> None:
    """Check the types of callbacks and loggers.

    Raises:
        UserError: If one is none of Lightning's.
    """
    if not callbacks and logger in (None, False):
        return
    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger

    for index, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            raise UserError(
                f"callbacks[{index}]: found {describe_type(callback)}. Expected an instance of "
                "lightning.pytorch.Callback."
            )
    keys = [callback.state_key for callback in callbacks if _has_state(callback)]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UserError(f"callbacks: '{twice}' is there twice, and a checkpoint holds one state of it. Expected one.")
    loggers = logger if isinstance(logger, list | tuple) else [] if logger in (None, False) else [logger]
    for index, each in enumerate(loggers):
        if not isinstance(each, Logger):
            raise UserError(
                f"logger[{index}]: found {describe_type(each)}. Expected an instance of a class of "
                "lightning.pytorch.loggers, a list of them, or False for none."
            )


def _has_state(callback: Any) -> bool:
    from lightning.pytorch import Callback

    return type(callback).state_dict is not Callback.state_dict
