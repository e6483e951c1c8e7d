"""The engine in a terminal: python demo_cli.py speak|embed|compare|models|resynthesize|benchmark. See --help."""

import sys

from cli.terminal import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
