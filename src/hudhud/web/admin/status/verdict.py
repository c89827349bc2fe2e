"""The verdict: whether codes arrive, and whether the admin must act."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from hudhud.core.clock import SECOND_MS
from hudhud.messages.statistics import QueueNumbers
from hudhud.senders.overview import SenderCard
from hudhud.web.admin.senders.look import Tone, sender_id
from hudhud.web.admin.ui.format import Format

# A code is late if it waits longer although a sender could send it.
LATE_MS = 30 * SECOND_MS
# A lower success rate is reported, if there are enough codes for a meaningful rate.
POOR_RATE = 0.8
FEWEST_TO_JUDGE = 5

_WORST_FIRST = (
    "logged_out",
    "outdated",
    "replaced",
    "stopped",
    "restricted",
    "pairing",
    "reconnecting",
    "starting",
    "paused",
)
_SILENT = frozenset({"logged_out", "outdated", "replaced", "stopped", "restricted"})


@dataclass(frozen=True, slots=True)
class Action:
    """The remedy: a link, or the sender to resume."""

    kind: Literal["link", "resume"]
    target: str
    label: str
    icon: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's heading."""

    tone: Tone
    icon: str
    title: str
    sentence: Markup
    action: Action | None = None

    @property
    def needs_somebody(self) -> bool:
        """Whether screen readers announce it as an alert."""
        return self.tone in {"warn", "bad"}


def verdict(
    cards: Sequence[SenderCard],
    numbers: QueueNumbers,
    fmt: Format,
    *,
    channel: str,
    is_fresh: bool = False,
) -> Verdict:
    """Return the verdict on the numbers and the channel's senders.

    `is_fresh` until the first code of a caller, or the first test code that was typed.
    Senders of channels other than the installation's, like the sandbox of test keys, do not count.
    """
    cards = [card for card in cards if card.channel == channel]
    able = [card for card in cards if card.state == "connected"]
    others = sorted(
        (card for card in cards if card.state != "connected"),
        key=lambda card: _WORST_FIRST.index(_state(card)),
    )
    if is_fresh and (able or _is_new(others)):
        problem = _refused(numbers, fmt) or _late(numbers, fmt) if able else None
        return problem or _first_steps(able, numbers, fmt)
    if not able:
        return _nothing_goes_out(others, numbers, fmt)
    return (
        _refused(numbers, fmt)
        or _late(numbers, fmt)
        or _poor(numbers, fmt)
        or _some_down(others, fmt)
        or _good(able[0], numbers, fmt)
    )


def _is_new(others: Sequence[SenderCard]) -> bool:
    return bool(others) and _state(others[0]) in {"pairing", "starting"}


def _state(card: SenderCard) -> str:
    """Return the sender's state; a sender that lost its phone is logged out until linked again."""
    is_lost = card.lost_at is not None and card.state in {"starting", "pairing", "reconnecting"}
    return "logged_out" if is_lost else card.state


def _first_steps(able: Sequence[SenderCard], numbers: QueueNumbers, fmt: Format) -> Verdict:
    if not able:
        title = fmt.gettext("Hudhud is running. Two steps to the first code")
        nothing = fmt.fill(fmt.gettext("Nothing has been sent yet."))
        return Verdict("idle", "info", title, nothing)
    if numbers.any_jobs:
        title = fmt.gettext("One step is left")
        how = fmt.gettext("Send a test code to a phone, and type here what arrived.")
        return Verdict("ok", "ok", title, fmt.fill(how))
    title = fmt.gettext("Ready for the first code")
    connected = fmt.fill(fmt.gettext("Everything is connected. Nothing has been sent yet."))
    return Verdict("ok", "ok", title, connected)


def _good(card: SenderCard, numbers: QueueNumbers, fmt: Format) -> Verdict:
    hour = numbers.hour
    connected = fmt.sentence(card.channel_type.ready)
    nothing = fmt.gettext("No action needed.")
    if hour.success_rate is None or hour.median_ms is None:
        # Test codes arrived if any were delivered, because the rate leaves only them out.
        none = fmt.gettext("No code arrived in the last hour.")
        lately = fmt.fill("" if hour.happened["delivered"] else none)
        return Verdict(
            "ok", "ok", fmt.gettext("Ready to send"), _joined(connected, lately, nothing)
        )
    lately = fmt.fill(
        fmt.gettext(
            "In the last hour %(rate)s of codes arrived, half of them within %(median)s s."
        ),
        rate=fmt.ltr(fmt.share(hour.success_rate)),
        median=fmt.seconds(hour.median_ms),
    )
    return Verdict(
        "ok", "ok", fmt.gettext("Codes are arriving"), _joined(connected, lately, nothing)
    )


def _refused(numbers: QueueNumbers, fmt: Format) -> Verdict | None:
    if numbers.refused is None:
        return None
    nothing = fmt.gettext("The last one was refused at %(time)s; none was sent since.")
    return Verdict(
        "warn",
        "ban",
        fmt.gettext("Codes are being refused"),
        _joined(
            fmt.fill(nothing, time=fmt.moment(numbers.refused.at)),
            fmt.sentence(numbers.refused.why),
            _waiting(numbers, fmt),
        ),
        Action("link", "?filterStatus=pending#jobs", fmt.gettext("Show them"), "queued"),
    )


def _late(numbers: QueueNumbers, fmt: Format) -> Verdict | None:
    oldest = numbers.oldest_waiting_at
    if oldest is None or fmt.now - oldest < LATE_MS:
        return None
    if (numbers.expected_wait_ms or 0) >= LATE_MS:
        cause = fmt.gettext("More codes are requested than the senders may send at their pace.")
    else:
        cause = fmt.gettext("A sender is connected but could not send them; open one to see why.")
    return Verdict(
        "warn",
        "queued",
        fmt.gettext("Codes are late"),
        _joined(_waiting(numbers, fmt), cause),
        Action("link", "?filterStatus=pending#jobs", fmt.gettext("Show them"), "queued"),
    )


def _poor(numbers: QueueNumbers, fmt: Format) -> Verdict | None:
    hour = numbers.hour
    rate = hour.success_rate
    if rate is None or rate >= POOR_RATE or hour.judged < FEWEST_TO_JUDGE:
        return None
    return Verdict(
        "warn",
        "warn",
        fmt.gettext("Many codes do not arrive"),
        fmt.fill(
            fmt.gettext(
                "In the last hour only %(rate)s of codes arrived. See the failed jobs for the "
                "reasons."
            ),
            rate=fmt.ltr(fmt.share(rate)),
        ),
        Action("link", "?filterStatus=failed_or_expired#jobs", fmt.gettext("Show them"), "failed"),
    )


def _some_down(others: Sequence[SenderCard], fmt: Format) -> Verdict | None:
    down = [card for card in others if card.state != "paused"]
    if not down:
        return None
    return Verdict(
        "warn",
        "warn",
        fmt.gettext("Codes are arriving, but not every sender works"),
        _joined(*(_clause(card, fmt) for card in down), _advice(down[0], fmt)),
        _action(down[0], fmt),
    )


def _nothing_goes_out(others: Sequence[SenderCard], numbers: QueueNumbers, fmt: Format) -> Verdict:
    waiting = _waiting(numbers, fmt)
    if not others:
        return Verdict(
            "bad",
            "warn",
            fmt.gettext("No codes are going out"),
            _joined(fmt.gettext("No sender has run here yet."), waiting, _start(fmt)),
        )
    worst = others[0]
    if _state(worst) in _SILENT:
        clauses = (_clause(card, fmt) for card in others)
        is_missed = numbers.any_jobs or worst.last_sent_at is not None
        return Verdict(
            "bad" if is_missed else "warn",
            "warn",
            fmt.gettext("No codes are going out"),
            _joined(*clauses, waiting, _advice(worst, fmt)),
            _action(worst, fmt),
        )
    if worst.state == "pairing":
        return Verdict("warn", "qr", fmt.gettext("Link a phone to send codes"), waiting)
    if worst.state == "paused":
        paused = fmt.gettext("New codes are accepted and wait until you resume.")
        return Verdict(
            "warn" if numbers.pending else "idle",
            "pause",
            fmt.gettext("Sending is paused"),
            _joined(paused, waiting),
            Action("resume", worst.name, fmt.gettext("Resume sending"), "sending"),
        )
    if worst.state == "starting":
        return Verdict("idle", "dots", fmt.gettext("The sender is starting"), waiting)
    title = fmt.gettext("The connection to %(provider)s is being restored")
    provider = fmt.sentence(worst.channel_type.provider)
    return Verdict("warn", "refresh", title % {"provider": provider}, waiting)


def _waiting(numbers: QueueNumbers, fmt: Format) -> Markup:
    if not numbers.pending:
        return fmt.fill(fmt.gettext("No code is waiting."))
    text = fmt.ngettext(
        "%(number)s code is waiting.", "%(number)s codes are waiting.", numbers.pending
    )
    waiting = fmt.fill(text, number=fmt.number(numbers.pending))
    if numbers.next_expiry_at is None or numbers.next_expiry_at <= fmt.now:
        return waiting
    text = fmt.ngettext(
        "It expires in <strong>%(time)s</strong>.",
        "The next one expires in <strong>%(time)s</strong>.",
        numbers.pending,
    )
    return _joined(waiting, fmt.fill(text, time=fmt.left(numbers.next_expiry_at)))


def _clause(card: SenderCard, fmt: Format) -> Markup:
    texts = {
        "logged_out": fmt.gettext("Sender <b>%(name)s</b> was logged out."),
        "outdated": fmt.gettext("Sender <b>%(name)s</b> has a version that is refused."),
        "replaced": fmt.gettext("Another program took over the session of <b>%(name)s</b>."),
        "stopped": fmt.gettext("Sender <b>%(name)s</b> is not running."),
        "restricted": fmt.gettext("Sender <b>%(name)s</b> is restricted."),
        "pairing": fmt.gettext("Sender <b>%(name)s</b> waits to be linked."),
        "reconnecting": fmt.gettext("Sender <b>%(name)s</b> is reconnecting."),
        "starting": fmt.gettext("Sender <b>%(name)s</b> is starting."),
        "paused": fmt.gettext("Sender <b>%(name)s</b> is paused."),
    }
    name = fmt.ltr(card.name)
    if _state(card) == "logged_out" and card.lost is not None and card.lost_at is not None:
        text = _lost(card.lost.code, fmt)
        return fmt.fill(text, name=name, time=fmt.moment(card.lost_at, seconds=False))
    if card.state == "restricted" and card.until is not None:
        text = fmt.gettext("Sender <b>%(name)s</b> is restricted until %(time)s.")
        return fmt.fill(text, name=name, time=fmt.moment(card.until, seconds=False))
    return fmt.fill(texts[_state(card)], name=name)


def _lost(code: str, fmt: Format) -> str:
    texts = {
        "linked.logged_out": fmt.gettext("Your phone logged <b>%(name)s</b> out at %(time)s."),
        "linked.operator_logout": fmt.gettext(
            "<b>%(name)s</b> was logged out by an admin at %(time)s."
        ),
        "linked.session_gone": fmt.gettext(
            "The session of <b>%(name)s</b> was missing at %(time)s."
        ),
    }
    ended = fmt.gettext("WhatsApp ended the session of <b>%(name)s</b> at %(time)s.")
    return texts.get(code, ended)


def _advice(card: SenderCard, fmt: Format) -> Markup:
    name = fmt.ltr(card.name)
    if _state(card) in {"logged_out", "pairing"}:
        return fmt.fill(fmt.gettext("Link <b>%(name)s</b>: it takes a minute."), name=name)
    texts = {
        "outdated": fmt.gettext("Update Hudhud; the session is kept."),
        "replaced": fmt.gettext("Stop the other program, then reload the session."),
        "restricted": fmt.gettext("Sending resumes by itself."),
    }
    if card.state == "stopped":
        return _start(fmt)
    return fmt.fill(texts.get(card.state, ""))


def _start(fmt: Format) -> Markup:
    return fmt.fill(
        fmt.gettext("Start it with %(command)s."),
        command=Markup('<code dir="ltr">hudhud serve</code>'),
    )


def _action(card: SenderCard, fmt: Format) -> Action | None:
    target = f"#{sender_id(card.name)}"
    if _state(card) in {"logged_out", "pairing"}:
        label = fmt.gettext("Link %(name)s") % {"name": card.name}
        return Action("link", target, label, "qr")
    if card.state == "replaced":
        return Action("link", target, fmt.gettext("Go to the sender"), "down")
    return None


def _joined(*sentences: str | Markup) -> Markup:
    return Markup(" ").join(sentence for sentence in sentences if sentence)
