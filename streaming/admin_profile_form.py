"""The form of a profile: what can be set, by what it governs, and what an empty field inherits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.utils import label_for_field
from django.forms.widgets import NullBooleanSelect, Select
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from streaming.core.precedence import DEFAULT_NAME
from streaming.core.profile_columns import AGES, BYTES, CONNECTION, QUOTAS, SETTINGS, WATERMARKS
from streaming.models_profiles import Profile

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Profile]
else:
    _ModelForm = forms.ModelForm  # generic in the stubs alone


class GroupInput(forms.TextInput):
    """A text field that proposes groups, each with a word on who it is."""

    def __init__(self, proposals: Iterable[tuple[str, str]]) -> None:
        super().__init__(attrs={"list": "group-proposals", "size": 40})
        self.proposals = list(proposals)

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """The input, and the list that it takes its proposals from."""
        text = super().render(name, value, attrs, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', self.proposals)
        return format_html('{}<datalist id="group-proposals">{}</datalist>', text, options)


class ProfileForm(_ModelForm):
    """An override shows what it inherits as placeholders; the default has none, and needs every value."""

    change_comment = forms.CharField(
        label="comment",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="Why; kept with the version that this change makes.",
    )

    class Meta:
        model = Profile
        fields = ("group", *SETTINGS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_default = self.instance.is_default
        inherited = {} if is_default else self.instance.inherited
        for name in (name for name in SETTINGS if name in self.fields):
            widget = self.fields[name].widget
            value, owner = inherited.get(name, (None, ""))
            said = "" if value is None else plain(value) + ("" if owner == DEFAULT_NAME else f" ({owner})")
            if isinstance(widget, Select) and not isinstance(widget, NullBooleanSelect):
                empty = [] if is_default else [("", f"inherits: {said}")]
                widget.choices = [*empty, *(choice for choice in widget.choices if choice[0])]
            elif isinstance(widget, NullBooleanSelect):
                empty = [("unknown", f"inherits: {said}")] if not is_default else []
                widget.choices = [*empty, ("true", "on"), ("false", "off")]
            elif is_default:
                self.fields[name].required = True
            else:
                widget.attrs["placeholder"] = said


def label_of(setting: str) -> str:
    """What the form calls a setting."""
    return str(label_for_field(setting, Profile))


def plain(value: Any) -> str:
    """A setting's value as people read it; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


FIELDSETS: list[tuple[str, dict[str, Any]]] = [
    (
        "Compression",
        {
            "fields": (("window_bits", "mem_level"), ("compression_level", "compression_threshold")),
            "description": "Deflate: of waveforms in a stream's group, of JSON in the group control.",
        },
    ),
    (
        "Adaptation",
        {
            "fields": (
                ("adaptive", "hysteresis"),
                ("min_level", "max_level"),
                ("explore_share", "cpu_weight"),
            ),
            "description": "How the level is chosen for each message that is no waveform.",
        },
    ),
    (
        "Rendition",
        {
            "fields": (("best_rendition",),),
            "description": "What a stream is sent as, at the most; a slow network makes it less.",
        },
    ),
    (
        "Buffer",
        {
            "fields": (("max_buffer_size", "max_retries", "emergency_mode"),),
            "description": "What waits for one viewer of the group.",
        },
    ),
    (
        "Watermarks",
        {
            "fields": (WATERMARKS,),
            "description": "Shares of the buffer, in this order: 0 < low < high < critical, at most 1.",
        },
    ),
    (
        "Quotas",
        {
            "fields": (QUOTAS[:2], QUOTAS[2:]),
            "description": "The share of the buffer that each priority may fill; together 1.",
        },
    ),
    (
        "Bounds",
        {
            "fields": (BYTES[0], *zip(BYTES[1:], AGES, strict=True)),
            "description": "What each priority may hold for one viewer, in bytes, and for how long.",
        },
    ),
]
CONNECTION_FIELDSET = (
    (
        "Connection",
        {
            "fields": (CONNECTION,),
            "description": "Of a viewer's connection as a whole, whatever groups it follows; "
            "running ones take them over within 2 s.",
        },
    ),
)
