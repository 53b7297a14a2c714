"""One script per claim; peers run beside us in the same run."""
