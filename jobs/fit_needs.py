"""fit_needs, for spark-submit: `spark-submit jobs/fit_needs.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["fit_needs", *sys.argv[1:]]))
