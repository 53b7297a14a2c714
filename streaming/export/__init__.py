"""Stored ECG in formats that other programs read: pure, piece by piece, honest about what is not there."""
