"""Schema of the monitoring tables."""
