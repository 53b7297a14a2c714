"""Presets, and profiles as files: what they would change is shown before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from streaming.admin_profile_plans import Proposal, ask, require
from streaming.core import profile_file
from streaming.core.precedence import Rows
from streaming.core.presets import PRESETS, Preset
from streaming.core.profile_file import ProfileFile, ProfileFileError
from streaming.models_profiles import Profile
from streaming.store import profile_changes, profiles

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Profile]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

MAX_FILE_BYTES = 256 * 1024
"""A thousand overrides that set everything."""
MERGE, REPLACE = "merge", "replace"


class ImportForm(forms.Form):
    """A file, or its text, and what is to become of all that it does not name."""

    file = forms.FileField(required=False, label="TOML file")
    text = forms.CharField(
        required=False,
        label="or its text",
        widget=forms.Textarea(attrs={"rows": 12, "class": "vLargeTextField"}),
    )
    mode = forms.ChoiceField(
        label="what it does not name",
        choices=[(MERGE, "stays as it is"), (REPLACE, "goes: everything is as in the file")],
        initial=MERGE,
        widget=forms.RadioSelect,
    )

    def clean(self) -> dict[str, object]:
        """The text, from wherever it came, as what it says."""
        given = super().clean() or {}
        text = self._uploaded(given["file"]) if given.get("file") else str(given.get("text") or "")
        if not text.strip():
            raise ValidationError("Choose a file, or put its text into the field.")
        if len(text.encode()) > MAX_FILE_BYTES:
            raise ValidationError(f"The file is longer than {MAX_FILE_BYTES // 1024} KiB.")
        try:
            read = profile_file.read(text)
        except ProfileFileError as error:
            raise ValidationError(error.faults) from error
        return given | {"text": text, "read": read}

    def _uploaded(self, file: UploadedFile[Any]) -> str:
        try:
            text: str = file.read(MAX_FILE_BYTES + 1).decode()
        except UnicodeDecodeError as error:
            raise ValidationError("This is no text in UTF-8, as TOML is.") from error
        return text


class WithExchange(_ModelAdmin):
    """The profiles' page with those of presets, export and import."""

    def get_urls(self) -> list[URLPattern]:
        """Five pages more."""
        view = self.admin_site.admin_view
        return [
            path("presets/", view(self.presets), name="streaming_profile_presets"),
            path("presets/<slug:slug>/", view(self.preset), name="streaming_profile_preset"),
            path("presets/<slug:slug>/file/", view(self.preset_file), name="streaming_profile_preset_file"),
            path("export/", view(self.export), name="streaming_profile_export"),
            path("import/", view(self.take_in), name="streaming_profile_import"),
            *super().get_urls(),
        ]

    def presets(self, request: HttpRequest) -> HttpResponse:
        """What there is to choose from."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Presets",
            "presets": PRESETS,
            "may_apply": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/streaming/profile/presets.html", context)

    def preset(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Show what the preset would change, and do it when that is confirmed."""
        require(request, ["change"])
        chosen = _preset(slug)
        proposal = Proposal(
            title=f"Apply the preset {chosen.title}",
            consequence=chosen.meant_for,
            plan=profile_changes.merged(chosen.rows),
            cause=f"preset {chosen.title}",
        )
        return ask(self.admin_site, request, proposal)

    def preset_file(self, request: HttpRequest, slug: str) -> HttpResponse:
        """The preset as a file, to be changed and imported."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        chosen = _preset(slug)
        return _as_file(chosen.rows, f"VITAL preset: {chosen.title}", f"vital-preset-{slug}")

    def export(self, request: HttpRequest) -> HttpResponse:
        """All profiles as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        version = profiles.current_version()
        rows = Profile.objects.all().as_rows()
        return _as_file(rows, f"VITAL profiles, version {version}", f"vital-profiles-{version}")

    def take_in(self, request: HttpRequest) -> HttpResponse:
        """Read a file, show what it would change, and do it when that is confirmed."""
        require(request, ["change"])
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            read: ProfileFile = form.cleaned_data["read"]
            mode = form.cleaned_data["mode"]
            plan = profile_changes.replaced if mode == REPLACE else profile_changes.merged
            proposal = Proposal(
                title="Import profiles",
                consequence="What the file does not name "
                + ("goes: everything is as in the file." if mode == REPLACE else "stays as it is."),
                plan=plan(read.rows),
                cause="import",
                fields={"text": form.cleaned_data["text"], "mode": mode},
                tell=read.tell,
            )
            return ask(self.admin_site, request, proposal)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Import profiles",
            "form": form,
        }
        return TemplateResponse(request, "admin/streaming/profile/import.html", context)


def _preset(slug: str) -> Preset:
    chosen = next((preset for preset in PRESETS if preset.slug == slug), None)
    if chosen is None:
        raise Http404
    return chosen


def _as_file(rows: Rows, title: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.toml"'}
    return HttpResponse(profile_file.write(rows, title), content_type="application/toml", headers=headers)
