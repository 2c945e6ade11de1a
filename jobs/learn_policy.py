"""learn_policy, for spark-submit: `spark-submit jobs/learn_policy.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["learn_policy", *sys.argv[1:]]))
