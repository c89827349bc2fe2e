"""Labels of jobs: statuses, reasons against a retry, steps."""

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup
from sqlalchemy import Row

from hudhud.auth import caller
from hudhud.auth.audit_log import COMMAND_LINE
from hudhud.core.sentences import Sentence, say
from hudhud.messages.listing import Job, JobRefusal
from hudhud.messages.timeline import Step
from hudhud.senders import records
from hudhud.verification.cancellations import Cancellation, Cause
from hudhud.web.admin.jobs.job_story import JobStory
from hudhud.web.admin.ui.actor import KEY_ACTOR, actor_name
from hudhud.web.admin.ui.format import Format
from hudhud.web.admin.ui.view import N_

# Why a job cannot be retried or canceled, for pages and scripts.
REASONS: dict[JobRefusal, Sentence] = {
    "expired": say("refusal.expired"),
    "canceled": say("refusal.canceled"),
    "erased": say("refusal.erased"),
    "not_failed": say("refusal.not_failed"),
    "not_queued": say("refusal.not_queued"),
}


_VERIFICATION_WORDS: dict[str, str] = {
    "pending": N_("Not checked yet"),
    "approved": N_("Approved"),
    "expired": N_("Expired"),
    "canceled": N_("Canceled"),
    "max_attempts_reached": N_("Too many wrong codes"),
    "failed": N_("Failed"),
}
_CANCELED_BY: dict[str, str] = {
    "superseded": N_("replaced by a newer one"),
    "caller": N_("by the caller"),
    "admin": N_("by an admin"),
    "forgotten": N_("the number is forgotten"),
}


_CANCELED_BECAUSE: dict[Cause, str] = {
    "superseded": N_("Replaced by a newer code."),
    "used": N_("The code had already been used."),
    "wrong_codes": N_("Too many wrong codes had been typed."),
    "expired": N_("The code had expired."),
    "caller": N_("The application canceled it with the API."),
    "admin": N_("An admin canceled it."),
    "forgotten": N_("The number was forgotten."),
}


def status_words(fmt: Format) -> dict[str, str]:
    """Return the label of each delivery state."""
    return {
        "queued": fmt.gettext("Queued"),
        "sending": fmt.gettext("Sending"),
        "sent": fmt.gettext("Sent"),
        "delivered": fmt.gettext("Delivered"),
        "read": fmt.gettext("Read"),
        "failed": fmt.gettext("Failed"),
        "expired": fmt.gettext("Expired"),
        "canceled": fmt.gettext("Canceled"),
    }


def verification_text(verification: Row[Any], fmt: Format) -> Markup:
    """Describe a verification: status, reason and attempts."""
    parts = [fmt.gettext(_VERIFICATION_WORDS[verification.status])]
    if verification.reason is not None:
        parts.append(fmt.gettext(_CANCELED_BY[verification.reason]))
    if verification.attempts:
        wrong = fmt.ngettext("%(num)d wrong code", "%(num)d wrong codes", verification.attempts)
        parts.append(wrong % {"num": verification.attempts})
    if verification.proved_phone is not None:
        parts.append(fmt.gettext("the number wrote first"))
    return fmt.fill(" · ".join(parts))


def requester_text(owner: str, key: str | None, fmt: Format) -> Markup:
    """Say who asked for a verification: a key by its name, or what asks without a key."""
    if owner == caller.ENVIRONMENT:
        return fmt.fill(fmt.gettext("the key of the environment"))
    if owner == caller.COMMAND_LINE:
        return actor_name(COMMAND_LINE, fmt)
    if owner == caller.ADMIN:
        text = fmt.gettext("%(admin)s, as a test code")
        return fmt.fill(text, admin=actor_name(owner, fmt))
    return actor_name(f"{KEY_ACTOR}{key or owner}", fmt)


def why_not(job: Job, fmt: Format) -> Markup:
    """Say until when a failed job can be retried, or why not.

    Empty for other jobs.
    """
    if job.refusal is None:
        valid = fmt.gettext("Still valid for %(time)s.")
        return fmt.fill(valid, time=fmt.left(job.expires_at))
    if job.refusal in ("not_failed", "not_queued"):
        return Markup()
    reason = fmt.sentence(REASONS[job.refusal])
    return fmt.fill(fmt.gettext("Cannot be retried. %(reason)s"), reason=reason)


def step_look(step: Step) -> tuple[str, str]:
    """Return the class and the icon of a step."""
    looks = {
        "accepted": ("", "in"),
        "sending": ("sending", "sending"),
        "attempt_failed": ("warn", "warn"),
        "attempt_lost": ("warn", "warn"),
        "put_off": ("queued", "queued"),
        "retried": ("queued", "refresh"),
        "expired": ("expired", "hourglass"),
    }
    return looks.get(step.kind, (step.kind, step.kind))


def step_title(step: Step, fmt: Format) -> str:
    """Return the title of a step."""
    titles = {
        **status_words(fmt),
        "accepted": fmt.gettext("Accepted"),
        "sending": fmt.gettext("Sending, attempt %(number)s"),
        "attempt_failed": fmt.gettext("Attempt %(number)s failed"),
        "attempt_lost": fmt.gettext("Attempt %(number)s was lost"),
        "put_off": fmt.gettext("Postponed"),
        "retried": fmt.gettext("Queued again"),
    }
    return titles[step.kind] % {"number": step.attempt or 1}


def step_text(step: Step, story: JobStory, fmt: Format) -> Markup:
    """Describe what happened at a step of a job."""
    if step.kind == "sending" and step.sender:
        name = records.name_in(step.sender)
        return fmt.fill(fmt.gettext("Sender %(name)s."), name=fmt.ltr(name))
    if step.who:
        return fmt.fill(fmt.gettext("By %(name)s."), name=actor_name(step.who, fmt))
    if step.kind == "canceled" and story.cancellation is not None:
        return _cancellation_text(story.cancellation, fmt)  # its error is that of an earlier send
    if step.error:
        return fmt.sentence(step.error)
    of_channel = {"sent": story.channel.took, "delivered": story.channel.delivered}
    if step.kind in of_channel:
        return fmt.sentence(of_channel[step.kind])
    texts = {
        "accepted": fmt.gettext("Written to disk, then answered with 202."),
        "read": fmt.gettext("The message was opened."),
        "put_off": fmt.gettext("It does not count as an attempt."),
    }
    return fmt.fill(texts.get(step.kind, ""))


def _cancellation_text(cancellation: Cancellation, fmt: Format) -> Markup:
    if cancellation.job is not None:
        link = Markup('<a href="/admin/jobs/{0}" data-drawer>{0}</a>').format(cancellation.job)
        return fmt.fill(fmt.gettext("Replaced by the newer code of job %(number)s."), number=link)
    return fmt.fill(fmt.gettext(_CANCELED_BECAUSE[cancellation.cause]))


# Functions for the templates of jobs.
WORDS: Mapping[str, Callable[..., Any]] = {"status_words": status_words, "why_not": why_not}
