"""A short run of `make chaos`: some thousand alarms, and each part killed more than once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import NoChromiumError
from tests.chaos.__main__ import figures, say
from tests.chaos.run import Wanted, chaos
from tests.conftest import unavailable
from tests.valkeys import NoValkeyError

pytestmark = [pytest.mark.server, pytest.mark.valkey, pytest.mark.browser]

WANTED = Wanted(alarms=3000, kills=14)


def test_no_alarm_is_lost_and_none_is_shown_twice_though_all_parts_are_killed(
    migrated_var: Path, tmp_path: Path
) -> None:
    try:
        outcome = chaos(WANTED, migrated_var, tmp_path, say)
    except (NoValkeyError, NoChromiumError) as error:
        unavailable(str(error))
    missed = [figure for figure in figures(outcome, WANTED) if figure.ok is False]
    assert missed == []
