"""The one way in: payloads to canonical events, judged, handed to Kafka, and receipted."""
