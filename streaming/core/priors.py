"""What is known of each method before the first message: a starting point, unlearned within a few dozen.

Least squares over rosters, vitals, and pieces of MIT-BIH 208 as JSON and as byte planes, with zlib 1.2.13 on
one machine: bytes hold elsewhere, of the times only how they compare. For a message of 4 KiB of which the
probe leaves 40 %.
"""

from __future__ import annotations

from streaming.core.deflate import Method, Strategy

TYPICAL_BYTES = 4096
TYPICAL_PROBE = 0.4

Weights = tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
"""Of the logarithm of the ratio, and of that of CPU seconds a byte: constant, size, probe, last ratio."""

_RATIO_BY_LEVEL = (-0.90, -0.93, -0.95, -0.98, -1.01, -1.03, -1.04, -1.04, -1.04)
_CPU_BY_LEVEL = (-19.0, -18.9, -18.65, -18.6, -18.2, -17.8, -17.75, -17.7, -17.7)


def of_text(method: Method) -> Weights:
    """JSON: effort and a wide window pay, the more the longer the message."""
    ratio, cpu = _RATIO_BY_LEVEL[method.level - 1], _CPU_BY_LEVEL[method.level - 1]
    if method.strategy is Strategy.FILTERED and method.level > 3:
        ratio, cpu = ratio - 0.02, cpu + 0.2
    wide = max(0, method.window_bits - 12)
    growth = -0.10 - 0.005 * wide
    if method.dictionary:
        ratio, growth = ratio - 0.10, growth + 0.06
    return (ratio, growth, 2.05, 0.0), (cpu, 0.05 * method.level, 4.0, 0.0)


def of_samples(method: Method) -> Weights:
    """Byte planes: hardly anything repeats, and what does are runs of zeros."""
    if method.strategy is Strategy.RLE:
        wide = max(0, method.window_bits - 12)
        return (-0.99 - 0.003 * wide, -0.02, 0.88, 0.0), (-18.7 - 0.1 * wide, -0.09 - 0.07 * wide, 2.5, 0.0)
    if method.strategy is Strategy.FILTERED:
        return (-0.98, -0.02, 0.88, 0.0), (-18.1, 0.08, 2.9, 0.0)
    return (-0.96, -0.02, 0.82, 0.0), (-18.35 + 0.02 * method.level, 0.02, 2.8, 0.0)
