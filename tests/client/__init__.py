"""Tests of the Python SDK against servers of the test process."""
