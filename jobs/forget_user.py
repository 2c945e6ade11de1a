"""forget_user, for spark-submit: `spark-submit jobs/forget_user.py --help`."""

import sys

from truelift.cli import main

if __name__ == "__main__":
    sys.exit(main(["forget_user", *sys.argv[1:]]))
