"""The admin of wards, patients, devices, admissions and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import (
    Count,
    Exists,
    ForeignKey,
    ManyToManyField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from streaming import admin_journal, admin_profile_versions, admin_profiles  # noqa: F401  # they register their pages
from streaming.admin_audit import Audited, actor_of
from streaming.admin_history import WithHistory
from streaming.admin_wards import user_of, wards_of
from streaming.models import ApiToken, Device, DeviceToken, Patient, Stream, Token, Ward
from streaming.models_alarms import PatientAlarms
from streaming.store import feeds, limits, tokens
from streaming.store.tokens import IssuedToken

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _StackedInline = admin.StackedInline[Any, Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone
    _StackedInline = admin.StackedInline
    _TabularInline = admin.TabularInline

admin.site.site_header = "VITAL"
admin.site.site_title = "VITAL admin"
admin.site.index_title = "Administration"


class WardScopedAdmin(Audited, _ModelAdmin):
    """Staff work with the wards that their groups see; who administers those is a superuser.

    What belongs to a ward for good is found by its `ward`; what moves says so by overriding `of_wards`.
    """

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The objects of the user's wards."""
        objects: QuerySet[Any] = super().get_queryset(request)
        wards = wards_of(user_of(request))
        return objects if wards is None else self.of_wards(objects, wards)

    def of_wards(self, objects: QuerySet[Any], wards: QuerySet[Ward]) -> QuerySet[Any]:
        """Those of the objects that belong to these wards."""
        return objects.filter(ward__in=wards)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer, and accept, nothing of other wards."""
        scoped = self.admin_site._registry.get(db_field.related_model)
        if isinstance(scoped, WardScopedAdmin):
            kwargs["queryset"] = scoped.get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class AdmittedAdmin(WardScopedAdmin):
    """What lies in a ward by its admissions, and belongs to another once it lies there.

    With open admissions, it belongs to their wards; when all have ended, to the ward of the last; what was
    never admitted is everybody's.
    """

    admitted_as: ClassVar[str]
    """The field of an admission that names it."""

    def of_wards(self, objects: QuerySet[Any], wards: QuerySet[Ward]) -> QuerySet[Any]:
        """One query with three subqueries, and no row twice."""
        admissions = Stream.objects.filter(**{self.admitted_as: OuterRef("pk")})
        current = admissions.filter(ended_at=None)
        last = admissions.order_by("-ended_at", "-started_at").values("ward")[:1]
        former = Q(last_ward__in=wards) | Q(last_ward=None)
        mine: QuerySet[Any] = objects.alias(last_ward=Subquery(last)).filter(
            Exists(current.filter(ward__in=wards)) | (~Exists(current) & former)
        )
        return mine


@admin.register(Ward)
class WardAdmin(WardScopedAdmin):
    """Wards, and the groups that see them."""

    list_display = ("name", "slug", "group_names", "open_admissions")
    search_fields = ("name", "slug")
    fields = ("name", "slug", "groups")
    prepopulated_fields: ClassVar[dict[str, Sequence[str]]] = {"slug": ("name",)}
    filter_horizontal = ("groups",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of patients."""
        patients = Count("streams", filter=Q(streams__ended_at=None), distinct=True)
        wards: QuerySet[Ward] = super().get_queryset(request)
        return wards.prefetch_related("groups").annotate(patients=patients)

    def of_wards(self, objects: QuerySet[Any], wards: QuerySet[Ward]) -> QuerySet[Any]:
        """A ward belongs to itself."""
        return objects.filter(pk__in=wards)

    def audit_detail(self, obj: Ward) -> dict[str, Any]:
        """Who sees it."""
        return {"groups": set(obj.groups.values_list("pk", flat=True))}

    @admin.display(description="seen by")
    def group_names(self, ward: Ward) -> str:
        """The groups, by name."""
        return ", ".join(group.name for group in ward.groups.all()) or "superusers only"

    @admin.display(description="patients", ordering="patients")
    def open_admissions(self, ward: Any) -> int:
        """How many are admitted now."""
        return int(ward.patients)


class PatientAlarmsInline(_StackedInline):
    """What is set about a patient's alarms, by who may; without it, the default limits hold."""

    model = PatientAlarms
    extra = 0
    can_delete = True
    fieldsets = (
        (None, {"fields": ("is_off",)}),
        ("Heart rate", {"fields": (("hr_low", "hr_high"), "hr_signal_delay_s")}),
        (
            "Lethal",
            {
                "fields": (
                    ("extreme_bradycardia", "extreme_tachycardia"),
                    "asystole_s",
                    ("run_beats", "run_rate"),
                )
            },
        ),
    )


@admin.register(Patient)
class PatientAdmin(AdmittedAdmin):
    """Patients; the pseudonym is given once and stays."""

    admitted_as = "patient"
    list_display = ("pseudonym", "display_name")
    search_fields = ("pseudonym",)
    search_help_text = "By pseudonym alone: what is searched for stands in the address, and so in logs."
    readonly_fields = ("pseudonym",)
    inlines = (PatientAlarmsInline,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Limits that are changed here stand in the patient's log as well."""
        known = PatientAlarms.objects.filter(patient_id=form.instance.pk)
        before = known.first()
        super().save_related(request, form, formsets, change)
        changed = limits.differences(before, known.first())
        limits.log_change(form.instance, request.user.get_username(), changed)


class DeviceTokenInline(_TabularInline):
    """A device's tokens, as far as they are known: never the token itself."""

    model = DeviceToken
    extra = 0
    can_delete = False
    fields = readonly_fields = ("prefix", "created", "expires", "revoked", "state")

    def has_add_permission(self, *_args: Any) -> bool:
        """Tokens are issued by the button, which shows them."""
        return False

    @admin.display
    def state(self, token: DeviceToken) -> str:
        """In one word."""
        return _state(token)


@admin.register(Device)
class DeviceAdmin(AdmittedAdmin):
    """Devices; a button issues a token and shows it once, another revokes all of them."""

    admitted_as = "device"
    list_display = ("name", "source", "lies_at", "valid_tokens")
    list_filter = ("source",)
    search_fields = ("name",)
    inlines = (DeviceTokenInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the list shows."""
        return super().get_queryset(request).prefetch_related("tokens", "streams__ward")

    def get_urls(self) -> list[URLPattern]:
        """Two pages more."""
        return [
            path("<int:pk>/issue-token/", self._page(self.issue_token), name="streaming_device_issue_token"),
            path(
                "<int:pk>/revoke-tokens/",
                self._page(self.revoke_tokens),
                name="streaming_device_revoke_tokens",
            ),
            *super().get_urls(),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A superuser alone changes the mark of a device that exists: nothing becomes LIVE in passing."""
        return () if obj is None or user_of(request).is_superuser else ("source",)

    def audit_detail(self, obj: Device) -> dict[str, Any]:
        """Its mark."""
        return {"source": obj.source}

    @admin.display(description="lies at")
    def lies_at(self, device: Device) -> str:
        """Ward and bed of the open admission."""
        return next((f"{s.ward} {s.bed}" for s in device.streams.all() if s.ended_at is None), "")

    @admin.display(description="valid tokens")
    def valid_tokens(self, device: Device) -> int:
        """How many it could use now."""
        now = timezone.now()
        return sum(token.is_valid(now) for token in device.tokens.all())

    def issue_token(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask; then issue, and show the token this once."""
        device = _changeable(self, request, pk)
        if request.method == "POST":
            issued = tokens.issue_device_token(device, actor=actor_of(request))
            return _show_once(
                self, request, issued, device, reverse("admin:streaming_device_change", args=[pk])
            )
        minutes = round(tokens.ROTATION_OVERLAP.total_seconds() / 60)
        return _confirm(
            self,
            request,
            f"Issue a token for {device}",
            f"It is shown once. Tokens that the device has now go on working for {minutes} minutes.",
        )

    def revoke_tokens(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask; then revoke all tokens of a device, which cuts its connection."""
        device = _changeable(self, request, pk)
        if request.method == "POST":
            for token in device.tokens.filter(revoked=None):
                tokens.revoke(token, actor=actor_of(request))
            messages.success(request, "All tokens of the device are revoked.")
            return redirect("admin:streaming_device_change", pk)
        return _confirm(
            self, request, f"Revoke all tokens of {device}", "The device is cut within two seconds."
        )

    def _page(self, view: Any) -> Any:
        return self.admin_site.admin_view(view)


@admin.register(Stream)
class StreamAdmin(WithHistory, WardScopedAdmin):
    """Admissions; one that has begun keeps its device, patient and ward: it is ended, and another begun."""

    list_display = ("id", "ward", "bed", "patient", "device", "source", "started_at", "ended_at")
    list_filter = (("ward", admin.RelatedOnlyFieldListFilter), ("ended_at", admin.EmptyFieldListFilter))
    list_select_related = ("ward", "patient", "device")
    search_fields = ("id", "bed", "patient__pseudonym", "device__name")
    actions = ("end_admissions", "delete_history")
    audited_addition = "admission.begin"
    fields = ("id", "device", "patient", "ward", "bed", "started_at", "ended_at", "stored")

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Patients by name too: who admits one does not know the pseudonym that was just made."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "patient":
            field.label_from_instance = lambda patient: f"{patient} {patient.display_name}".strip()
        return field

    def get_readonly_fields(self, _request: HttpRequest, obj: Stream | None = None) -> tuple[str, ...]:
        """Before it begins, what to admit; afterwards the bed alone."""
        fixed = ("id", "started_at", "ended_at", "stored")
        return fixed if obj is None else ("device", "patient", "ward", *fixed)

    def audit_detail(self, obj: Stream) -> dict[str, Any]:
        """Who lies where."""
        return feeds.audit_detail(obj)

    def has_delete_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """An admission is ended, never deleted: the audit trail names it."""
        return False

    @admin.display(ordering="device__source")
    def source(self, stream: Stream) -> str:
        """The device's mark."""
        return stream.device.source

    @admin.action(description="End the selected admissions", permissions=["change"])
    def end_admissions(self, request: HttpRequest, streams: QuerySet[Stream]) -> HttpResponse | None:
        """Ask; then cut the devices, and the streams vanish from every ward page."""
        chosen = list(streams.filter(ended_at=None))
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "End the selected admissions",
                "consequence": "The devices are cut, and the beds vanish from every ward page. "
                "An admission that has ended does not begin again: another is made.",
                "lines": [f"{stream.ward}, bed {stream.bed}: {stream.patient}" for stream in chosen]
                or ["All of them have ended before."],
                "action": "end_admissions",
                "chosen": [stream.pk for stream in chosen],
            }
            return TemplateResponse(request, "admin/streaming/confirm_action.html", context)
        for stream in chosen:
            feeds.end_admission(stream, actor=actor_of(request))
        messages.success(request, "The selected admissions have ended.")
        return None


@admin.register(ApiToken)
class ApiTokenAdmin(_ModelAdmin):
    """Tokens of viewers without a browser: made by its form, shown once, then revoked or left alone.

    Staff make and see their own; only a superuser may make one for somebody else.
    """

    list_display = ("prefix", "name", "user", "created", "expires", "last_used", "state")
    list_filter = (("user", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("prefix", "name")
    actions = ("revoke_tokens",)
    filter_horizontal = ("wards",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """One's own."""
        objects = super().get_queryset(request)
        return objects if user_of(request).is_superuser else objects.filter(user=request.user)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A new one: what it is for. One that exists: what is known of it."""
        if obj is not None:
            return ("prefix", "name", "user", "wards", "created", "expires", "revoked", "last_used", "state")
        fields = ("name", "wards", "expires")
        return ("user", *fields) if user_of(request).is_superuser else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A token that was handed out never comes to mean something else."""
        return () if obj is None else self.get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """One that exists stays as it is; who may change tokens at all, may revoke them in the list."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """It is revoked, never deleted: the audit trail names it."""
        return False

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer, and accept, the wards that the user sees."""
        wards = wards_of(user_of(request))
        kwargs["queryset"] = Ward.objects.all() if wards is None else wards
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_model(self, request: Any, obj: ApiToken, form: ModelForm[Any], _change: bool) -> None:
        """Issue it; the token itself goes to this request's answer and nowhere else."""
        asked = form.cleaned_data
        request.issued_token = issued = tokens.issue_api_token(
            asked.get("user") or user_of(request),
            asked["name"],
            asked["wards"],
            actor=actor_of(request),
            expires=asked["expires"],
        )
        obj.pk, obj.prefix = issued.token_id, issued.prefix

    def response_add(self, request: Any, obj: ApiToken, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Show the token this once."""
        return _show_once(
            self, request, request.issued_token, obj, reverse("admin:streaming_apitoken_changelist")
        )

    @admin.display
    def state(self, token: ApiToken) -> str:
        """In one word."""
        return _state(token)

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke_tokens(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        """Their connections are cut within two seconds."""
        for token in chosen:
            tokens.revoke(token, actor=actor_of(request))
        messages.success(request, "The selected tokens are revoked.")


def _state(token: Token) -> str:
    if token.revoked is not None:
        return "revoked"
    return "valid" if token.is_valid(timezone.now()) else "expired"


def _changeable(model_admin: DeviceAdmin, request: HttpRequest, pk: int) -> Device:
    """The device, if it exists in the user's wards and may be changed; else PermissionDenied, for both."""
    device: Device | None = model_admin.get_queryset(request).filter(pk=pk).first()
    if device is None or not model_admin.has_change_permission(request, device):
        raise PermissionDenied
    return device


def _confirm(model_admin: _ModelAdmin, request: HttpRequest, title: str, consequence: str) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "consequence": consequence,
    }
    return TemplateResponse(request, "admin/streaming/confirm.html", context)


def _show_once(
    model_admin: _ModelAdmin, request: HttpRequest, issued: IssuedToken, owner: Model, back: str
) -> HttpResponse:
    """The answer that holds the token: in no cache (every page says no-store), session or message."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "New token",
        "owner": owner,
        "issued": issued,
        "back": back,
    }
    return TemplateResponse(request, "admin/streaming/token_issued.html", context)
