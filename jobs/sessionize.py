"""sessionize, for spark-submit: `spark-submit jobs/sessionize.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["sessionize", *sys.argv[1:]]))
