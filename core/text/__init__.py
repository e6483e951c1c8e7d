"""From written text to the symbols a synthesizer reads."""
