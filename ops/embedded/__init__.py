"""The real parts that come with Sagsbro: Apache Kafka and PostgreSQL, from packages, on this machine."""
