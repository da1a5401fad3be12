"""Where the installed `holdline` starts: says what to install where the command line's own needs are missing."""

import sys
from typing import Final

WRONG: Final = 2


def run() -> None:
    """Run the command line; ends with 2 and a sentence where only the client is installed."""
    try:
        from service.cli import main
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name} is missing: the command line comes with the server, holdline[server]\n")
        raise SystemExit(WRONG) from None
    main.run()
