"""`{% modulepreload "js/main.js" %}` tells a browser of all modules at once.

It would else learn of them from each other, one round trip after the next.
"""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from vital.static_files import modules_of

register = template.Library()


@register.simple_tag
def modulepreload(*entries: str) -> SafeString:
    """A link for each of the modules and for all that they need before they can start."""
    return format_html_join(
        "\n", '<link rel="modulepreload" href="{}">', ((static(name),) for name in modules_of(*entries))
    )
