"""The HTTP surface: routes, and nothing that decides."""
