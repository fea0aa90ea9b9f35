"""Measuring, and breaking things on purpose."""
