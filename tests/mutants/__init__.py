"""Faults that somebody could make, each with the test that must notice it: `make mutants`."""
