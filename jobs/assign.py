"""assign, for spark-submit: `spark-submit jobs/assign.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["assign", *sys.argv[1:]]))
