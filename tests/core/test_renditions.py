from __future__ import annotations

from streaming.core.renditions import Quality


def test_qualities_come_best_first() -> None:
    assert [*Quality] == ["lossless", "diagnostic", "display", "overview", "vitals"]
