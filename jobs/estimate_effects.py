"""estimate_effects, for spark-submit: `spark-submit jobs/estimate_effects.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["estimate_effects", *sys.argv[1:]]))
