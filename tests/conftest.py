"""What every test may ask for: servers, a browser, a Valkey, reference records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def unavailable(reason: str) -> None:
    """Skip the test, saying why; where CI is set nothing may be missing, so there it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs this: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The reference records (mitdb/, vfdb/, ...): VITAL_DATA, else ../shared/data beside the project."""
    directory = Path(os.environ.get("VITAL_DATA") or ROOT.parent / "shared" / "data")
    if not directory.is_dir():
        pytest.skip(f"no reference records in {directory} (set VITAL_DATA)")
    return directory
