"""Entry point of ``python -m visionkit`` and of the command ``visionkit``."""

import os
import sys

from visionkit.cli.signals import handle_signals, handle_signals_at_exit, report_signal
from visionkit.cli.temporary import remove_temporary_folder, use_temporary_folder


def open_closed_streams() -> None:
    """Open the null device where a standard stream is closed, as by ``2>&-``.

    A file that is opened later would else take its number, and what is printed be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for the process


def main() -> int:
    """Run the command line; signals are handled before anything heavy is imported.

    Returns:
        An exit code.
    """
    with handle_signals():
        try:
            open_closed_streams()
            use_temporary_folder()
            handle_signals_at_exit()
            os.environ["MPLBACKEND"] = "agg"  # notebooks hand down one of theirs, which matplotlib cannot import here
            from visionkit.cli.main import main as run_command

            return run_command()
        except BaseException as error:
            code = report_signal(error)
            if code is None:
                raise
            return code


if __name__ == "__main__":
    exit_code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from visionkit.distributed.processes import hard_exit

        remove_temporary_folder()
        hard_exit(exit_code)
    sys.exit(exit_code)
