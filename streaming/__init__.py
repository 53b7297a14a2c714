"""VITAL's way of a sample: from a device's WebSocket to every browser that may see it."""
