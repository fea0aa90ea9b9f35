"""The broker: what comes in, what becomes of it, and who may see it."""

from broker import compiled

compiled.use()
