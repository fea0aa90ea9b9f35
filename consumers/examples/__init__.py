"""Short programs to begin from."""
