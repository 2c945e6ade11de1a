"""clean, for spark-submit: `spark-submit jobs/clean.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["clean", *sys.argv[1:]]))
