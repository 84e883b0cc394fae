"""The whole thing as a newcomer meets it."""
