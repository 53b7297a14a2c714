"""Profiles, their versions and the word of processes in a real PostgreSQL: the same as in SQLite."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.postgres import Postgres
from tests.servers import run

SCENARIO = """
from django.db import IntegrityError, transaction
from streaming.core.precedence import DEFAULT_NAME
from streaming.models import Profile, ProfileRevision
from streaming.models_processes import ServerProcess
from streaming.store import processes, profile_changes, profiles

def refused(constraint, change):
    try:
        with transaction.atomic():
            change()
    except IntegrityError as error:
        assert constraint in str(error), error
    else:
        raise AssertionError(constraint)

rows = Profile.objects.all().as_rows
for name in ("*", "ecg.*", "ward:icu-2", "ecg.a_b-1.c"):
    assert name == "*" or Profile.objects.create(group=name).pk
for name in ("", "e*g", "ward:", "ward:a.b", "ecg.a\\n", "ecg.ä", "a b"):
    refused("profile_group_is_a_name", lambda: Profile(group=name).save())
refused("profile_watermarks_in_order", lambda: Profile.objects.filter(group="*").update(low_watermark=0.9))
row = Profile(group="ecg.a", low_watermark=0.1 + 0.2, age_high=1e-1 + 1e-16)
row.save()
then, version = rows(), profiles.current_version()
assert then["ecg.a"] == {"low_watermark": 0.1 + 0.2, "age_high": 1e-1 + 1e-16}
row.delete()
Profile.objects.filter(group=DEFAULT_NAME).update(max_retries=1)
profile_changes.apply(profile_changes.returned_to(version), by=None, cause="test")
assert rows() == then
profile_changes.apply(profile_changes.undone(ProfileRevision.objects.all()[0]), by=None, cause="test")
assert "ecg.a" not in rows() and rows()[DEFAULT_NAME]["max_retries"] == 1
assert profiles.load().version == profiles.current_version() == ProfileRevision.objects.all()[0].number
processes.report("p", 3, processes.Refusal(4, "bad"))
processes.report("p", 3, processes.Refusal(4, "bad"))
(known,) = processes.known()
assert 0 <= known.silent_s < 60 and not known.is_gone and known.refusal.version == 4
refused("process_refuses_a_version", lambda: ServerProcess.objects.update(refused_version=None))
processes.leave("p")
assert processes.known() == []
print("done")
"""


def test_postgresql_keeps_profiles_versions_and_words_alike(tmp_path: Path, postgres: Postgres) -> None:
    environment = {**os.environ, "VITAL_VAR_DIR": str(tmp_path), "DATABASE_URL": postgres.database()}
    run([sys.executable, "manage.py", "migrate", "-v0"], environment, 120.0)
    said = run([sys.executable, "manage.py", "shell", "-v0", "-c", SCENARIO], environment, 120.0)
    assert said.endswith("done\n")
