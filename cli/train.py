"""python -m cli.train encoder|synthesizer|vocoder [options]: from recorded speech to published weights."""

import sys

from cli.dispatch import dispatch

TABLE = {
    "encoder": ("core.training.encoder", ""),
    "synthesizer": ("core.training.synthesizer", ""),
    "vocoder": ("core.training.vocoder", "training_sample"),
}

if __name__ == "__main__":
    sys.exit(dispatch("cli.train", TABLE, sys.argv[1:]))
