"""Views of the workspace and the controls beside them; each shows, and emits what the user wants."""
