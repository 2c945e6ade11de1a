"""train_causal, for spark-submit: `spark-submit jobs/train_causal.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["train_causal", *sys.argv[1:]]))
