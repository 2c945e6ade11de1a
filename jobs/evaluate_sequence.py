"""evaluate_sequence, for spark-submit: `spark-submit jobs/evaluate_sequence.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate_sequence", *sys.argv[1:]]))
