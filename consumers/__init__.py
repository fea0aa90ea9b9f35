"""What overview apps use to read the index."""
