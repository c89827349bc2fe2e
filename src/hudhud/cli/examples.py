"""The example lines in the help of each command, by its full name."""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("hudhud demo", "hudhud serve"),
    "serve": ("hudhud serve",),
    "worker": ("hudhud worker",),
    "pair": ("hudhud pair", "hudhud pair --phone +201001234567 --timeout 10m"),
    "send": ("hudhud send +201001234567", "hudhud send +201001234567 --no-wait --show-code"),
    "status": ("hudhud status", "hudhud status --json"),
    "migrate": ("hudhud migrate",),
    "keys": ("hudhud keys create webshop", "hudhud keys list"),
    "keys create": (
        "hudhud keys create webshop",
        "hudhud keys create backoffice --scope admin --expires-in 90d",
        "hudhud keys create trial --test --limit per_number=1/30s,5/1h",
        "hudhud keys create shop --length 8 --from 192.0.2.0/24",
    ),
    "keys list": ("hudhud keys list",),
    "keys rotate": ("hudhud keys rotate webshop --overlap 7d",),
    "keys revoke": ("hudhud keys revoke webshop",),
    "templates": ("hudhud templates check", "hudhud templates preview"),
    "templates check": ("hudhud templates check",),
    "templates preview": ("hudhud templates preview --locale ar --validity 10m",),
    "webhooks": ("hudhud webhooks add https://shop.example/hudhud", "hudhud webhooks list"),
    "webhooks add": (
        "hudhud webhooks add https://shop.example/hudhud",
        "hudhud webhooks add https://shop.example/hudhud --event message.failed",
    ),
    "webhooks list": ("hudhud webhooks list",),
    "webhooks remove": ("hudhud webhooks remove 1",),
    "webhooks enable": ("hudhud webhooks enable 1",),
    "webhooks rotate": ("hudhud webhooks rotate 1 --overlap 24h",),
    "webhooks deliveries": (
        "hudhud webhooks deliveries --failed",
        "hudhud webhooks deliveries 1 --limit 100 --before 2041",
    ),
    "webhooks replay": (
        "hudhud webhooks replay 2041",
        "hudhud webhooks replay --endpoint 1 --since 7d",
        "hudhud webhooks replay --endpoint 1 --since 2026-01-31T08:00Z",
    ),
    "admin": ("hudhud admin set-password", "hudhud admin unlock"),
    "admin set-password": ("hudhud admin set-password",),
    "admin unlock": ("hudhud admin unlock", "hudhud admin unlock 192.0.2.7"),
    "admin reset-second-factor": ("hudhud admin reset-second-factor",),
    "forget": ("hudhud forget +201001234567",),
    "doctor": ("hudhud doctor", "hudhud doctor --all"),
    "demo": ("hudhud demo", "hudhud demo --self-test"),
}
