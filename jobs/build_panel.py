"""build_panel, for spark-submit: `spark-submit jobs/build_panel.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["build_panel", *sys.argv[1:]]))
