"""analyze_experiment, for spark-submit: `spark-submit jobs/analyze_experiment.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["analyze_experiment", *sys.argv[1:]]))
