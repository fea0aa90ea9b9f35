"""The drill: a real Sagsbro under a real Prometheus and Alertmanager is broken in one way after the other."""
