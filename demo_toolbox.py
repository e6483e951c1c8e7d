"""Starts the window: `python demo_toolbox.py [FILE ...]`."""

import os
import sys

# Before numpy is loaded: with one thread for its matrices, a processor stays free for the window.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from toolbox.app import main

if __name__ == "__main__":
    sys.exit(main())
