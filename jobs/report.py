"""report, for spark-submit: `spark-submit jobs/report.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
