"""The command ``truelift``: where it lacks an extra of the package, one message that names it."""

from __future__ import annotations

import sys

from truelift.errors import TrueliftError
from truelift.extras import naming_extras


def main() -> int:
    """Run the command line; a package that is missing ends it with the message and exit code 2."""
    try:
        with naming_extras():
            from truelift.cli import main as run

            return run()
    except TrueliftError as error:
        print(f"truelift: {error}", file=sys.stderr)
        return error.exit_code
