"""python -m cli.evaluate encoder|speech|vocoder [options]: measures the published models on unseen speakers."""

import sys

from cli.dispatch import dispatch

TABLE = {
    "encoder": ("core.evaluation.encoder", "similarity_histograms"),
    "speech": ("core.evaluation.speech", "speech_bars"),
    "vocoder": ("core.evaluation.vocoder", "spectrogram_table"),
}

if __name__ == "__main__":
    sys.exit(dispatch("cli.evaluate", TABLE, sys.argv[1:]))
