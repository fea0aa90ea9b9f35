"""Kafka: topics, framing, clients."""
