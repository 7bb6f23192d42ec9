"""What libraries say on standard error beside the exceptions that they raise."""

import logging
import sys

from absl import logging as absl_logging


def silence_libraries() -> None:
    """Let the errors of a command-line program be read: for launchers only.

    When a checkpoint cannot be written, Orbax logs the error with its traceback at each layer that
    it passes, asyncio logs each further write that fails, and tensorstore reports one more that
    finds Orbax's event loop closed. All of that is raised as an exception too.
    """
    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.get_absl_logger().setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    report = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            report(unraisable)

    sys.unraisablehook = hook
