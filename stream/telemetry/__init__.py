"""Telemetry: what a running worker tells of itself, as Prometheus metrics and health checks."""
