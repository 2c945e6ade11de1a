"""evaluate_policies, for spark-submit: `spark-submit jobs/evaluate_policies.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate_policies", *sys.argv[1:]]))
