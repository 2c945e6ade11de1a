"""ingest, for spark-submit: `spark-submit jobs/ingest.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["ingest", *sys.argv[1:]]))
