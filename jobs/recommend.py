"""recommend, for spark-submit: `spark-submit jobs/recommend.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["recommend", *sys.argv[1:]]))
