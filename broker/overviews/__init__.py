"""The one way out: search, changes, explanations, and the log of every read."""
