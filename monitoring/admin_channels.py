"""Whom alerts are told to, and what became of each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from monitoring import alert_store, webhook
from monitoring.admin_parts import CSS, ReadOnly, ask, to_the_second
from monitoring.channel_addresses import AddressError, Target
from monitoring.deliveries import NO_MAIL
from monitoring.models_alerts import ChannelKind, Delivery, DeliveryState, NotificationChannel, new_salt
from streaming.admin_audit import Audited, actor_of
from streaming.store import audit

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone

MOST_RECENT = 10


@admin.register(NotificationChannel)
class NotificationChannelAdmin(Audited, _ModelAdmin):
    """Whom alerts are told to. Who may not change a webhook sees its host: its address may hold a secret."""

    change_form_template = "admin/monitoring/notificationchannel/change_form.html"
    list_display = ("name", "kind", "least_severity", "on", "waiting", "last_delivery")
    ordering = ("name",)

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = CSS

    def get_fieldsets(self, request: HttpRequest, obj: NotificationChannel | None = None) -> Any:
        """With what became of the last messages, once there may be any."""
        changes = self.has_change_permission(request, obj) if obj else True
        address = "address" if changes else "host"
        own = ("name", "kind", address, ("least_severity", "enabled"))
        return [(None, {"fields": own}), *([("Last messages", {"fields": ("recent",)})] if obj else [])]

    def get_readonly_fields(
        self, _request: HttpRequest, obj: NotificationChannel | None = None
    ) -> tuple[str, ...]:
        """A webhook stays one: its receiver has its secret."""
        return ("kind", "host", "recent") if obj else ()

    def get_urls(self) -> list[URLPattern]:
        """Two pages more."""
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/test/", view(self.send_test), name="monitoring_notificationchannel_test"),
            path("<int:pk>/secret/", view(self.new_secret), name="monitoring_notificationchannel_secret"),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj: NotificationChannel, form: Any, change: bool) -> None:
        """An e-mail channel wants a mail server."""
        super().save_model(request, obj, form, change)
        if obj.kind == ChannelKind.EMAIL and settings.EMAIL_BACKEND == NO_MAIL:
            messages.warning(request, "No mail is sent before EMAIL_URL names a mail server.")

    def response_add(
        self, request: HttpRequest, obj: NotificationChannel, post_url_continue: str | None = None
    ) -> HttpResponse:
        """A webhook's secret is shown this once."""
        if obj.kind == ChannelKind.WEBHOOK:
            return self._show_once(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask; then queue a message that a server process sends within seconds."""
        channel = self._changeable(request, pk)
        if request.method != "POST":
            return ask(
                self,
                request,
                f"Send a test to {channel}",
                "One attempt is made, also while it is switched off.",
            )
        message = alert_store.enqueue_test(channel)
        audit.record(actor_of(request), "channel.test", f"notificationchannel:{channel.pk}", "done")
        messages.info(
            request,
            format_html(
                "A running server sends it within seconds: {}.",
                format_html('<a href="{}">what became of it</a>', _page_of(message)),
            ),
        )
        return redirect("admin:monitoring_notificationchannel_change", pk)

    def new_secret(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask; then sign by another secret from now on, and show it this once."""
        channel = self._changeable(request, pk)
        if channel.kind != ChannelKind.WEBHOOK:
            raise PermissionDenied
        if request.method != "POST":
            return ask(
                self,
                request,
                f"A new secret for {channel}",
                "It is shown once. The former one signs nothing more, messages that wait included.",
            )
        channel.salt = new_salt()
        channel.save(update_fields=["salt"])
        audit.record(actor_of(request), "channel.secret", f"notificationchannel:{channel.pk}", "done")
        return self._show_once(request, channel)

    def audit_detail(self, obj: NotificationChannel) -> dict[str, Any]:
        """How, and from which severity on; never where."""
        return {"kind": obj.kind, "least_severity": obj.least_severity, "enabled": obj.enabled}

    def _changeable(self, request: HttpRequest, pk: int) -> NotificationChannel:
        """The channel, if it exists and may be changed; else PermissionDenied, for both."""
        channel = NotificationChannel.objects.filter(pk=pk).first()
        if channel is None or not self.has_change_permission(request, channel):
            raise PermissionDenied
        return channel

    def _show_once(self, request: HttpRequest, channel: NotificationChannel) -> HttpResponse:
        """The answer that holds the secret: in no cache (every page says no-store), session or message."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Secret of a webhook",
            "channel": channel,
            "secret": webhook.secret_of(channel.salt),
            "back": reverse("admin:monitoring_notificationchannel_change", args=[channel.pk]),
        }
        return TemplateResponse(request, "admin/monitoring/secret.html", context)

    @admin.display(description="address")
    def host(self, channel: NotificationChannel) -> str:
        """No more than whom a webhook asks."""
        if channel.kind == ChannelKind.EMAIL:
            return channel.address
        try:
            return Target.of(channel.address, settings.VITAL_WEBHOOK_HOSTS).host
        except AddressError as error:
            return str(error)

    @admin.display(description="enabled", ordering="enabled")
    def on(self, channel: NotificationChannel) -> str:
        """In words: Django's icons for yes and no are green and red."""
        return "on" if channel.enabled else "off"

    @admin.display(description="waiting")
    def waiting(self, channel: NotificationChannel) -> int:
        """Messages that are not delivered yet."""
        return channel.deliveries.filter(state=DeliveryState.WAITING).count()

    @admin.display(description="last message")
    def last_delivery(self, channel: NotificationChannel) -> SafeString | str:
        """What became of it."""
        last = channel.deliveries.first()
        return "none yet" if last is None else _course(last)

    @admin.display(description="newest first")
    def recent(self, channel: NotificationChannel) -> SafeString | str:
        """What became of the last ones."""
        lines = ((_course(message),) for message in channel.deliveries.all()[:MOST_RECENT])
        return format_html_join("", "<p>{}</p>", lines) or "none yet"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """Messages: waiting, delivered, or given up, and why."""

    list_display = ("when", "channel", "kind", "events", "state", "attempts", "next_attempt", "last_error")
    list_filter = ("state", "channel", "kind")
    list_select_related = ("channel",)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "uid")
    fields = (
        "when",
        "channel",
        "kind",
        "state",
        "attempts",
        "next_attempt",
        "done",
        "last_error",
        "process",
        "said",
    )
    readonly_fields = ("when", "next_attempt", "done", "said", "events")

    @admin.display(description="made", ordering="created_at")
    def when(self, message: Delivery) -> str:
        """To the second."""
        return to_the_second(message.created_at)

    @admin.display(description="next attempt", ordering="next_at")
    def next_attempt(self, message: Delivery) -> str:
        """While it waits."""
        return to_the_second(message.next_at) if message.state == DeliveryState.WAITING else "--"

    @admin.display(description="done", ordering="done_at")
    def done(self, message: Delivery) -> str:
        """To the second."""
        return to_the_second(message.done_at)

    @admin.display(description="alerts")
    def events(self, message: Delivery) -> int:
        """How many it tells of."""
        return len(message.told)

    @admin.display(description="alerts")
    def said(self, message: Delivery) -> SafeString | str:
        """What it tells of each."""
        lines = ((told["event"], told["severity"], told["rule"], told["value_text"]) for told in message.told)
        return format_html_join("", "<p>{} ({}): {}, {}</p>", lines) or "--"


def _course(message: Delivery) -> SafeString:
    what = {
        DeliveryState.WAITING: f"waits since {to_the_second(message.created_at)}",
        DeliveryState.DELIVERED: f"delivered {to_the_second(message.done_at)}",
        DeliveryState.GIVEN_UP: f"given up {to_the_second(message.done_at)}",
    }[DeliveryState(message.state)]
    attempts = f"{message.attempts} attempt{pluralize(message.attempts)}"
    told = f"{what}, {attempts}" + (f": {message.last_error}" if message.last_error else "")
    return format_html('<a href="{}">{}</a>', _page_of(message), told)


def _page_of(message: Delivery) -> str:
    return reverse("admin:monitoring_delivery_change", args=[message.pk])
