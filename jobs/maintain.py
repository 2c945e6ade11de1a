"""maintain, for spark-submit: `spark-submit jobs/maintain.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["maintain", *sys.argv[1:]]))
