"""build_features, for spark-submit: `spark-submit jobs/build_features.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["build_features", *sys.argv[1:]]))
