"""The rows in which each server process says that it runs, and under which settings."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class ServerProcess(models.Model):
    """One process: which version of the profiles is in force there, and which one it could not use.

    All times are the database's own: the clocks of two hosts may differ.
    """

    process = models.CharField(max_length=32, primary_key=True)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    settings_version = models.PositiveBigIntegerField(help_text="0: the shipped values, none were loaded.")
    refused_version = models.PositiveBigIntegerField(null=True)
    refusal = models.TextField(blank=True, help_text="Why that version is not usable.")
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "server processes"
        ordering: ClassVar[list[str]] = ["host", "pid"]
        default_permissions = ()  # shown with the profiles, to whoever may see these
        permissions = (("cut_viewer", "Can cut the connection of a viewer"),)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(refused_version__isnull=False) | models.Q(refusal=""),
                name="process_refuses_a_version",
            )
        ]

    def __str__(self) -> str:
        return self.process
