"""The engine in a terminal: python demo_cli.py speak|embed|compare|models|resynthesize|benchmark. See --help."""

import os
import sys

# Before numpy is loaded: its small matrices lose more by sharing a busy machine's processors than they gain.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cli.terminal import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
