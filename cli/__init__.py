"""Commands over `core`: train, evaluate and the verbs of demo_cli."""
