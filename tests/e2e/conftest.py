"""One cluster for all tests that need several processes: starting it costs more than most of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.e2e.cluster import Cluster, cluster
from tests.valkeys import NoValkeyError


@pytest.fixture(scope="session")
def parts(migrated_var: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two Daphnes and a Valkey; whatever a test does to them, it mends."""
    try:
        with cluster(migrated_var, tmp_path_factory.mktemp("cluster")) as started:
            yield started
    except NoValkeyError as error:
        unavailable(str(error))
