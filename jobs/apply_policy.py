"""apply_policy, for spark-submit: `spark-submit jobs/apply_policy.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["apply_policy", *sys.argv[1:]]))
