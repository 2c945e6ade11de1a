"""evaluate_doses, for spark-submit: `spark-submit jobs/evaluate_doses.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate_doses", *sys.argv[1:]]))
