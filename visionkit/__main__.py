"""Entry point of ``python -m visionkit`` and of the command ``visionkit``."""

import os
import sys

from visionkit.cli.signals import handle_signals, report_signal
from visionkit.cli.temporary import remove_temporary_folder, use_temporary_folder


def main() -> int:
    """Run the command line; signals are handled before anything heavy is imported.

    Returns:
        An exit code.
    """
    with handle_signals():
        try:
            use_temporary_folder()
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
