"""The decisions: pure functions over plain values. Standard library only, no I/O, no clock of its own."""
