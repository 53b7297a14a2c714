"""What the benchmarks share: servers and viewers to measure with, and how a figure is told."""
