"""The Avro schemas on the wire."""
