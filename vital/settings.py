"""Django's settings, from the environment; without any, a safe server for this machine alone."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF

from vital import env

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VITAL_VAR_DIR") or BASE_DIR / "var").resolve()
VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

DEBUG = env.flag(os.environ, "VITAL_DEBUG")
HTTPS = env.flag(os.environ, "VITAL_HTTPS")
SECRET_KEY = os.environ.get("VITAL_SECRET_KEY") or env.secret_key(VAR_DIR)
ALLOWED_HOSTS = env.words(os.environ, "VITAL_ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words(os.environ, "VITAL_CSRF_TRUSTED_ORIGINS")
VITAL_TRUSTED_PROXIES = env.networks(os.environ, "VITAL_TRUSTED_PROXIES")
VITAL_SNAPSHOT_INTERVAL_S = env.seconds(os.environ, "VITAL_SNAPSHOT_INTERVAL_S", default=10, least=1)
VITAL_SNAPSHOT_FULL_DAYS = env.days(os.environ, "VITAL_SNAPSHOT_FULL_DAYS", default=1, least=1)
VITAL_SNAPSHOT_MINUTE_DAYS = env.days(os.environ, "VITAL_SNAPSHOT_MINUTE_DAYS", default=31, least=1)
VITAL_SNAPSHOT_HOUR_DAYS = env.days(os.environ, "VITAL_SNAPSHOT_HOUR_DAYS", default=366, least=1)
env.refuse_descending(
    VITAL_SNAPSHOT_FULL_DAYS=VITAL_SNAPSHOT_FULL_DAYS,
    VITAL_SNAPSHOT_MINUTE_DAYS=VITAL_SNAPSHOT_MINUTE_DAYS,
    VITAL_SNAPSHOT_HOUR_DAYS=VITAL_SNAPSHOT_HOUR_DAYS,
)
VITAL_CAPACITY_MBPS = env.whole(os.environ, "VITAL_CAPACITY_MBPS", "megabits a second", default=0)
VITAL_CAPACITY_MEMORY_MB = env.whole(os.environ, "VITAL_CAPACITY_MEMORY_MB", "megabytes", default=0)
VITAL_CAPACITY_VIEWERS = env.whole(os.environ, "VITAL_CAPACITY_VIEWERS", "viewers", default=0)
VITAL_CAPACITY_DATABASE_MB = env.whole(os.environ, "VITAL_CAPACITY_DATABASE_MB", "megabytes", default=0)
VITAL_LAB = env.flag(os.environ, "VITAL_LAB")
VITAL_TIME_ZONE = env.time_zone(os.environ, "VITAL_TIME_ZONE")
VITAL_AUDIT_KEY = env.words(os.environ, "VITAL_AUDIT_KEY")
VITAL_AUDIT_DAYS = env.days(os.environ, "VITAL_AUDIT_DAYS", default=730, least=30)
VITAL_JOURNAL_DAYS = env.days(os.environ, "VITAL_JOURNAL_DAYS", default=365, least=30)
VITAL_HISTORY_HOURS = env.whole(os.environ, "VITAL_HISTORY_HOURS", "hours", default=24, least=1)
VITAL_PIN_DAYS = env.days(os.environ, "VITAL_PIN_DAYS", default=30, least=1)
VITAL_ALERT_DAYS = env.days(os.environ, "VITAL_ALERT_DAYS", default=366, least=1)
VITAL_WEBHOOK_HOSTS = env.words(os.environ, "VITAL_WEBHOOK_HOSTS")
VITAL_METRICS_NETWORKS = env.networks(os.environ, "VITAL_METRICS_NETWORKS", default="127.0.0.0/8,::1")
VITAL_METRICS_TOKEN = env.words(os.environ, "VITAL_METRICS_TOKEN")
VITAL_METRICS_GROUPS = env.whole(os.environ, "VITAL_METRICS_GROUPS", "groups", default=50)
VITAL_HISTORY_MAX_MB = env.whole(os.environ, "VITAL_HISTORY_MAX_MB", "megabytes", default=20_000, least=10)

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "axes",
    "streaming",
    "monitoring",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "vital.headers.PrivateResponses",
    "csp.middleware.CSPMiddleware",
    "vital.static_files.versioned_files",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "vital.language.Language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "vital.urls"
ASGI_APPLICATION = "vital.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"modules": "vital.module_tags"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "streaming.conf.notice",
            ],
        },
    },
]

DATABASES = {"default": env.database(os.environ.get("DATABASE_URL", ""), VAR_DIR)}
DATABASES["history"] = env.history_database(os.environ.get("HISTORY_DATABASE_URL", ""), DATABASES["default"])
DATABASES["journal"] = env.journal_database(os.environ.get("JOURNAL_DATABASE_URL", ""), DATABASES["default"])
env.refuse_one_for_both(DATABASES)
DATABASE_ROUTERS = ["streaming.store.routing.StoreRouter"]
for _alias, _database in DATABASES.items():
    if _database["ENGINE"].endswith("sqlite3"):
        # A file, as in production: threads that share a database in memory get "table is locked" at once.
        _database["TEST"] = {"NAME": str(VAR_DIR / f"test-{_alias}.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": env.channel_layer(os.environ.get("REDIS_URL", ""))}

# Of alerts alone: VITAL sends no other mail.
globals().update(env.mail_server(os.environ.get("EMAIL_URL", "")))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("VITAL_EMAIL_FROM") or "vital@localhost"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "vital-language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "vital.formats"

# Static files come from the application itself, found where they lie: no collectstatic. Ours are in memory,
# and have their version in the address (vital.static_files). WhiteNoise serves the admin's, and the sources
# of ours: max age 0, as modules import each other by name, and no browser may mix two versions of them.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "vital.static_files.VersionedStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 0
WHITENOISE_ALLOW_ALL_ORIGINS = False

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "ward"
LOGOUT_REDIRECT_URL = "login"

# Ten failures of one name from one address close the door to that pair for ten minutes. Not the name alone:
# anybody could lock a clinician out. Not the address alone: a hospital is often one address.
AXES_FAILURE_LIMIT = 10
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_CALLABLE = "streaming.views.throttled"
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "user_agent"]
AXES_DISABLE_ACCESS_LOG = True

# A shift. The page's sockets end with the session, so that an abandoned screen goes dark.
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-vital-session" if HTTPS else "vital-session"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_NAME = "__Host-vital-csrf" if HTTPS else "vital-csrf"

SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.seconds(os.environ, "VITAL_HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if VITAL_TRUSTED_PROXIES:
    # Safe because the ASGI wrapper drops this header from every peer that is not a trusted proxy.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Preloading HSTS into browsers is a promise for a whole domain, for years: the operator's to make, not ours.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "worker-src": [SELF],
        "manifest-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
    }
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "vital.logs.LineFormatter",
            "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        },
        "json": {"()": "vital.logs.JsonFormatter"},
    },
    "filters": {"no_probe": {"()": "vital.logs.NoProbe"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.choice(os.environ, "VITAL_LOG_FORMAT", ("text", "json")),
        }
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "django.request": {"filters": ["no_probe"]},
        "daphne": {"level": "INFO"},
        "axes": {"level": "ERROR"},
        "vital": {"level": "INFO"},
        "monitoring": {"level": "INFO"},
        "streaming": {"level": "INFO"},
    },
}
for _logger, _level in env.log_levels(os.environ, "VITAL_LOG_LEVELS").items():
    LOGGING["loggers"].setdefault(_logger, {})["level"] = _level
