"""Where a test run keeps its files: a fresh var directory, named before Django reads its settings.

Loaded with `-p` (pyproject.toml), because pytest-django reads the settings before any conftest.py.
"""

from __future__ import annotations

import os
import tempfile

# pytest's own settings of the machine must not leak in: a developer's DATABASE_URL is not the tests'.
for name in [key for key in os.environ if key.startswith("VITAL_") and key != "VITAL_DATA"]:
    del os.environ[name]
for name in ("DATABASE_URL", "HISTORY_DATABASE_URL", "JOURNAL_DATABASE_URL", "EMAIL_URL", "REDIS_URL"):
    os.environ.pop(name, None)

_var = tempfile.TemporaryDirectory(prefix="vital-test-")
os.environ["VITAL_VAR_DIR"] = _var.name
