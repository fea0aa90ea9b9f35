"""Care-journal systems."""
