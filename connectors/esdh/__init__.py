"""Case and document systems."""
