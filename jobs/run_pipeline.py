"""run_pipeline, for spark-submit: `spark-submit jobs/run_pipeline.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["run_pipeline", *sys.argv[1:]]))
