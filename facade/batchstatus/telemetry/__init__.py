"""Telemetry of clients and of the service: `opentelemetry`, which needs its extra."""
