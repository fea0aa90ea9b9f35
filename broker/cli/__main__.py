"""`python -m broker.cli` is `sagsbro`."""

from broker.cli import main

main(prog_name="sagsbro")
