"""Short programs for vendors to begin from."""
