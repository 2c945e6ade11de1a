"""simulate_logs, for spark-submit: `spark-submit jobs/simulate_logs.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["simulate_logs", *sys.argv[1:]]))
