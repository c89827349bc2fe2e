"""Labels of audit entries."""

from typing import Any

from markupsafe import Markup
from sqlalchemy import Row

from hudhud.auth.audit_log import Group
from hudhud.web.admin.ui.format import Format

_OUTCOMES = {"ok": ("ok", "sent"), "refused": ("warn", "warn"), "failed": ("bad", "failed")}


def group_words(fmt: Format) -> dict[Group, str]:
    """Return the label of each group of entries."""
    return {
        "logins": fmt.gettext("Logins"),
        "failed": fmt.gettext("Failed logins"),
        "senders": fmt.gettext("Sender actions"),
        "jobs": fmt.gettext("Jobs"),
        "keys": fmt.gettext("Keys"),
        "webhooks": fmt.gettext("Webhooks"),
        "account": fmt.gettext("Account"),
    }


def words_of(row: Row[Any], fmt: Format) -> Markup:
    """Describe the action and its subject."""
    texts = {
        "login": fmt.gettext("Login"),
        "login_failed": fmt.gettext("Failed login"),
        "logout": fmt.gettext("Logout"),
        "code_search": fmt.gettext("Search by exact code"),
        "retry": fmt.gettext("Retry job %(subject)s"),
        "retry_all": fmt.gettext("Retry all failed jobs"),
        "cancel": fmt.gettext("Cancel job %(subject)s"),
        "trial_sent": fmt.gettext("Test code to %(subject)s"),
        "trial_checked": fmt.gettext("Check of the test code to %(subject)s"),
        "reload": fmt.gettext("Reload session %(subject)s"),
        "logout_whatsapp": fmt.gettext("Logout WA and new scan %(subject)s"),
        "pair_phone": fmt.gettext("Link %(subject)s by phone number"),
        "pause": fmt.gettext("Pause sending %(subject)s"),
        "resume": fmt.gettext("Resume sending %(subject)s"),
        "key_made": fmt.gettext("Key created: %(subject)s"),
        "key_rotated": fmt.gettext("New secret of key %(subject)s"),
        "key_revoked": fmt.gettext("Key revoked: %(subject)s"),
        "webhook_added": fmt.gettext("Webhook added: %(subject)s"),
        "webhook_removed": fmt.gettext("Webhook removed: %(subject)s"),
        "webhook_rotated": fmt.gettext("New secret of webhook %(subject)s"),
        "webhook_enabled": fmt.gettext("Webhook enabled: %(subject)s"),
        "webhook_replayed": fmt.gettext("Delivered again: %(subject)s"),
        "number_forgotten": fmt.gettext("Number forgotten: %(subject)s"),
        "second_factor_on": fmt.gettext("Second factor turned on"),
        "second_factor_off": fmt.gettext("Second factor turned off"),
        "password_changed": fmt.gettext("Password changed"),
        "unlocked": fmt.gettext("Logins unlocked"),
    }
    return fmt.fill(texts.get(row.what, "%(subject)s"), subject=fmt.isolated(row.subject or ""))


def outcome_look(row: Row[Any], fmt: Format) -> tuple[str, str, str]:
    """Return tone, icon and label of an outcome."""
    words = {
        "ok": fmt.gettext("done"),
        "refused": fmt.gettext("refused"),
        "failed": fmt.gettext("failed"),
    }
    tone, icon = _OUTCOMES[row.outcome]
    return tone, icon, words[row.outcome]
