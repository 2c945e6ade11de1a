"""play_loop, for spark-submit: `spark-submit jobs/play_loop.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["play_loop", *sys.argv[1:]]))
