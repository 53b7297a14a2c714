"""Alert rules as the operator has them: when each opens, of whom, and how many alerts are open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitoring import alert_store
from monitoring.admin_parts import CSS, ask
from monitoring.alert_metrics import METRICS, Metric
from monitoring.models_alerts import Alert, AlertRule
from streaming.admin_audit import Audited

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _RuleForm = ModelForm[AlertRule]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in the stubs alone
    _RuleForm = ModelForm

APPLIES = "In force in every process within two seconds."


class AlertRuleForm(_RuleForm):
    """Figures are chosen by what they are called, each with its unit, or with the words that it counts."""

    metric = forms.ChoiceField(help_text=AlertRule._meta.get_field("metric").help_text)

    class Meta:
        model = AlertRule
        fields = (
            "name",
            "enabled",
            "metric",
            "op",
            "value",
            "hold_s",
            "clear_value",
            "cooldown_s",
            "severity",
            "pattern",
            "advice",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "metric" in self.fields:
            field = self.fields["metric"]
            assert isinstance(field, forms.ChoiceField)
            stored = self.instance.metric
            lost = [(stored, f"{stored}: no longer there")] if stored and stored not in METRICS else []
            field.choices = [("", "---------"), *lost, *_choices()]


def _choices() -> list[tuple[str, list[tuple[str, str]]]]:
    def told(metric: Metric) -> str:
        if metric.words:
            return f"{metric.label}: " + ", ".join(
                f"{index} {word}" for index, word in enumerate(metric.words)
            )
        unit = "share, 0 to 1" if metric.unit == "share" else metric.unit
        return f"{metric.label} ({unit})"

    found: dict[str, list[tuple[str, str]]] = {"Of each group": [], "Of the process": []}
    for metric in METRICS.values():
        found["Of the process" if metric.of_process else "Of each group"].append((metric.name, told(metric)))
    return [
        (title, sorted(choices, key=lambda choice: choice[1].lower())) for title, choices in found.items()
    ]


@admin.register(AlertRule)
class AlertRuleAdmin(Audited, _ModelAdmin):
    """The rules, how many alerts of each are open, and which cannot be judged."""

    form = AlertRuleForm
    change_list_template = "admin/monitoring/alertrule/change_list.html"
    list_display = ("name", "severity", "condition", "groups", "state", "open_count")
    list_filter = ("severity", "enabled")
    search_fields = ("name", "metric")
    ordering = ("name",)
    actions = ("switch_on", "switch_off")
    fieldsets = (
        (None, {"fields": (("name", "enabled"),)}),
        ("Opens when", {"fields": ("metric", ("op", "value", "hold_s"))}),
        ("Resolves", {"fields": (("clear_value", "cooldown_s"),)}),
        ("Of whom, and how grave", {"fields": (("pattern", "severity"),)}),
        ("For whoever is told", {"fields": ("advice",)}),
    )

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = CSS

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        """With how many alerts are open."""
        opened = Alert.objects.filter(rule=OuterRef("pk"), resolved_at=None).order_by()
        counted: Any = opened.values("rule").annotate(count=Count("pk")).values("count")
        rows: QuerySet[AlertRule] = super().get_queryset(request)
        return rows.annotate(opened=Subquery(counted))

    def get_urls(self) -> list[URLPattern]:
        """One page more."""
        view = self.admin_site.admin_view(self.restore)
        return [path("restore/", view, name="monitoring_alertrule_restore"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        """Say when it applies."""
        super().save_model(request, obj, form, change)
        messages.info(request, APPLIES)

    def restore(self, request: HttpRequest) -> HttpResponse:
        """Ask; then make the shipped rules what they were."""
        if not (self.has_change_permission(request) and self.has_add_permission(request)):
            raise PermissionDenied
        if request.method != "POST":
            return ask(
                self,
                request,
                "Restore the shipped rules",
                "Every rule that came with VITAL gets its former name, values and text, is switched on or "
                "off as "
                "it was, and comes back if it was deleted. All other rules stay as they are.",
            )
        changed, made = alert_store.restore_shipped()
        for row in changed:
            self.log_change(request, row, [{"changed": {"fields": ["all, as shipped"]}}])
        for row in made:
            self.log_addition(request, row, [{"added": {}}])
        rules = f"{len(changed)} rule{pluralize(changed)}"
        messages.success(request, f"{rules} restored, {len(made)} made again. {APPLIES}")
        return redirect("admin:monitoring_alertrule_changelist")

    def audit_detail(self, obj: AlertRule) -> dict[str, Any]:
        """What it says now; without its name and its text, which may say anything."""
        return {
            "key": obj.key,
            "condition": "" if obj.fault else obj.rule().condition,
            "pattern": obj.pattern,
            "severity": obj.severity,
            "enabled": obj.enabled,
        }

    @admin.action(description="Switch on the selected rules", permissions=["change"])
    def switch_on(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Each is a change of its own."""
        self._switch(request, rules.filter(enabled=False), to=True)

    @admin.action(description="Switch off the selected rules", permissions=["change"])
    def switch_off(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Each is a change of its own; open alerts of them resolve."""
        self._switch(request, rules.filter(enabled=True), to=False)

    def _switch(self, request: HttpRequest, rules: Iterable[AlertRule], *, to: bool) -> None:
        rows = list(rules)
        for row in rows:
            row.enabled = to
            row.save(update_fields=["enabled", "updated_at"])
            self.log_change(request, row, [{"changed": {"fields": ["enabled"]}}])
        rules_said = f"{len(rows)} rule{pluralize(rows)}"
        messages.success(request, f"{rules_said} switched {'on' if to else 'off'}. {APPLIES}")

    @admin.display(description="opens when")
    def condition(self, rule: AlertRule) -> str:
        """In words."""
        return "--" if rule.fault else rule.rule().condition

    @admin.display(description="groups", ordering="pattern")
    def groups(self, rule: AlertRule) -> str:
        """Or that it is of the process."""
        metric = METRICS.get(rule.metric)
        return "the process" if metric is not None and metric.of_process else rule.pattern

    @admin.display(description="state", ordering="enabled")
    def state(self, rule: AlertRule) -> SafeString | str:
        """On, off, or why it cannot be judged."""
        if rule.fault:
            return format_html("<strong>not judged</strong>: {}", rule.fault)
        return "on" if rule.enabled else "off"

    @admin.display(description="open alerts", ordering="opened")
    def open_count(self, rule: Any) -> SafeString | str:
        """A link to them."""
        if not rule.opened:
            return "none"
        url = reverse("admin:monitoring_alert_changelist")
        return format_html('<a href="{}?state=open&amp;rule__id__exact={}">{}</a>', url, rule.pk, rule.opened)
