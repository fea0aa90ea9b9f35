"""Interfaces that are standards rather than one vendor's."""
