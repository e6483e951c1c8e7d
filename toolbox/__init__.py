"""The Qt window: one of the users of `core`."""
