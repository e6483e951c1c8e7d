"""The engine of the toolbox: audio, text, models, inference, training. Knows nothing of Qt or of any window."""
