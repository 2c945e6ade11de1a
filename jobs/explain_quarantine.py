"""explain-quarantine, for spark-submit: `spark-submit jobs/explain_quarantine.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["explain-quarantine", *sys.argv[1:]]))
