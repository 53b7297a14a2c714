"""Exports, read back by programs that are not ours where there are any."""
