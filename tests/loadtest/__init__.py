"""The load test: its parts by themselves, and once against a real server."""
