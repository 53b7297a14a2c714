"""Which wards the user of an admin page may see."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from streaming.models import Ward


def user_of(request: HttpRequest) -> User:
    """Who asks."""
    assert isinstance(request.user, User), "the admin lets nobody else in"
    return request.user


def wards_of(user: User) -> QuerySet[Ward] | None:
    """The wards that a user's groups see; None for a superuser, who sees all."""
    return None if user.is_superuser else Ward.objects.filter(groups__user=user).distinct()
