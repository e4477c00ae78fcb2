"""Metrics for Prometheus. Imported by an agent that serves them, and by no other."""
