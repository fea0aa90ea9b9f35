"""Running it: embedded parts, demo, benchmarks."""
