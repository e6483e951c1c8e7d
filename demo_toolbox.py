"""Starts the window: `python demo_toolbox.py [FILE ...]`."""

import sys

from toolbox.app import main

if __name__ == "__main__":
    sys.exit(main())
