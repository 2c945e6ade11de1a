"""fit_limits, for spark-submit: `spark-submit jobs/fit_limits.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["fit_limits", *sys.argv[1:]]))
