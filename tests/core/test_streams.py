"""Streams and the groups that carry them."""

from __future__ import annotations

from streaming.core.streams import group_of, stream_of


def test_a_group_names_its_stream_and_others_name_none() -> None:
    assert stream_of(group_of("k3xmq7rtw2ab")) == "k3xmq7rtw2ab"
    assert stream_of("control") is None
