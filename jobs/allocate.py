"""allocate, for spark-submit: `spark-submit jobs/allocate.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["allocate", *sys.argv[1:]]))
