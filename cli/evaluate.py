"""python -m cli.evaluate encoder|speech|vocoder [options]: measures the published models on unseen speakers."""

import sys

from cli.dispatch import dispatch

TABLE = {
    "encoder": "core.evaluation.encoder",
    "speech": "core.evaluation.speech",
    "vocoder": "core.evaluation.vocoder",
}

if __name__ == "__main__":
    sys.exit(dispatch("cli.evaluate", TABLE, sys.argv[1:]))
