"""Trained models at work: loading by card, the three roles, the cloning pipeline, the map."""
