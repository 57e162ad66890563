"""The process over the workers: Dramatiq's command line, with its log lines in the form of all others.

`hookline worker` runs it as `python -m workers.master`, with Dramatiq's arguments.
"""

import os
import sys
from typing import Any

import dramatiq.cli

from config.logs import configure_logging
from config.settings import load_settings

ROLE = "worker"


def main() -> None:
    """Run Dramatiq with the arguments of this process, and end with its exit code."""
    configure_logging(load_settings(os.environ), ROLE)
    cli: Any = dramatiq.cli
    given = sys.argv[1:]
    arguments = cli.make_argument_parser().parse_args(["--skip-logging", *given])
    # At a reload Dramatiq runs once more what this list says.
    sys.argv = [sys.executable, "-m", "workers.master", *given]
    sys.exit(cli.main(arguments))


if __name__ == "__main__":
    main()
