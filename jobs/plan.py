"""plan, for spark-submit: `spark-submit jobs/plan.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["plan", *sys.argv[1:]]))
