"""Recognise the sentences that versions before revision 0004 stored as text.

Frozen: these are the texts of those versions. No other code recognises a sentence by its text.
"""

import re

OTHER = "other"
# These parameters are numbers; others match any text.
_NUMBERS = frozenset({"status", "count"})
_HOLE = re.compile(r"\\\{(\w+)\\\}")

SENTENCES = (
    ("sender.starting", "The sender is starting."),
    (
        "sender.pairing",
        "Open WhatsApp on the phone: Linked devices, Link a device, then scan the QR code.",
    ),
    ("sender.connected", "Connected to WhatsApp."),
    (
        "sender.reconnecting",
        "The connection to WhatsApp was lost; it is being restored. Nothing to do yet.",
    ),
    (
        "sender.logged_out",
        "The phone logged this device out. Scan the new QR code to link it again.",
    ),
    (
        "sender.restricted",
        "WhatsApp restricted this account. Sending goes on by itself when it is lifted.",
    ),
    ("sender.outdated", "WhatsApp no longer accepts this version of Hudhud. Update Hudhud."),
    (
        "sender.replaced",
        "Another program uses this session. Stop the other one, then reload the session.",
    ),
    ("sender.stopped", "The sender is stopped. Start it with: hudhud serve"),
    ("sender.not_needed", "Not needed: no test key is in use."),
    ("sandbox.connected", "The sandbox takes every message and sends none."),
    (
        "linked.dropped",
        "The connection to WhatsApp was lost; it is being restored. Nothing to do yet.",
    ),
    (
        "linked.stream_error",
        "WhatsApp ended the connection with error {detail}; it is being restored. Nothing "
        "to do yet.",
    ),
    (
        "linked.unreachable",
        "WhatsApp cannot be reached ({detail}). Hudhud keeps trying. Check this machine's "
        "connection to the internet, and WHATSAPP_PROXY.",
    ),
    ("linked.silent", "WhatsApp stopped answering; Hudhud connects anew. Nothing to do yet."),
    (
        "linked.hung_send",
        "WhatsApp did not answer a message; Hudhud connects anew and sends it again. "
        "Nothing to do yet.",
    ),
    (
        "linked.broken",
        "The WhatsApp library stopped ({detail}); Hudhud connects anew. If this repeats, "
        "update Hudhud.",
    ),
    (
        "linked.refused",
        "WhatsApp refuses this device ({detail}). Hudhud keeps trying. If it lasts, update "
        "Hudhud, or log out and link the device anew.",
    ),
    (
        "linked.session_unusable",
        "The session of the linked device cannot be opened ({detail}). Hudhud keeps trying."
        " Check the disk and its permissions, or the database: hudhud doctor",
    ),
    (
        "linked.logged_out",
        "The phone logged this device out. Scan the new QR code to link it again.",
    ),
    (
        "linked.main_device_gone",
        "WhatsApp says that the account moved to another phone or is locked. Open WhatsApp "
        "on its phone; when it works there, scan the new QR code.",
    ),
    (
        "linked.unknown_logout",
        "WhatsApp ended the session and gave no reason; often the account is banned. Open "
        "WhatsApp on its phone; when it works there, scan the new QR code.",
    ),
    (
        "linked.session_gone",
        "The session of the linked device is gone from this machine. On the phone remove "
        "the old device from Linked devices, then scan the new QR code.",
    ),
    (
        "linked.operator_logout",
        "An operator logged this device out. Scan the new QR code to link one again.",
    ),
    (
        "linked.replaced",
        "Another program uses this session. Stop the other one, then reload the session; "
        "Hudhud tries again by itself in a quarter of an hour.",
    ),
    (
        "linked.temporary_ban",
        "WhatsApp banned this account for a time ({detail}). Hudhud connects again when the"
        " ban ends. Send more slowly then, and to people who expect it.",
    ),
    ("linked.outdated", "WhatsApp no longer accepts this version of Hudhud. Update Hudhud."),
    ("linked.qr_timeout", "The QR code ran out before anybody scanned it. A new one follows."),
    (
        "linked.pairing_failed",
        "Linking failed: the phone's answer did not fit. Scan the new QR code that follows.",
    ),
    (
        "linked.pairing_refused",
        "WhatsApp lets no new device be linked from here just now. Hudhud asks again by "
        "itself; if it lasts, update Hudhud.",
    ),
    (
        "linked.passkey",
        "The phone asks for the account's passkey, which Hudhud cannot give. Reload the "
        "session, then link by phone number or link another account. The WhatsApp Business "
        "Cloud API, for a later version, needs no phone.",
    ),
    (
        "linked.type_the_code",
        "On the phone open WhatsApp, tap Linked devices, Link a device, Link with phone "
        "number instead, and type the code shown here. Scanning the QR code does as well.",
    ),
    ("linked.just_linked", "The phone linked this device; connecting to WhatsApp."),
    (
        "linked.strangers_refused",
        "WhatsApp refuses messages to people who never wrote to this account. Those who did"
        " are still reached; from time to time one message tries whether it is over. Send "
        "more slowly.",
    ),
    ("job.no_account", "There is no WhatsApp account for this number."),
    (
        "job.stranger",
        "WhatsApp refuses messages of this account to people who never wrote to it (error 463).",
    ),
    ("job.too_much", "WhatsApp asks this account to send less (error 420 or 429)."),
    ("job.offline", "The sender is not connected to WhatsApp."),
    (
        "job.unknown_outcome",
        "WhatsApp did not answer in time; whether the message went out is unknown.",
    ),
    ("job.no_number_check", "WhatsApp did not answer a number check."),
    ("job.not_taken", "WhatsApp did not take it: {detail}."),
    ("job.expired", "The code expired before it could be sent."),
    ("job.lost", "The sender ended before it could tell what became of the message."),
    ("job.too_late", "There was no time left to send it."),
    ("job.no_database", "The database could not be used."),
    ("job.broke", "Sending broke; the log has the details."),
    ("job.secret_unset", "It was sealed with a secret that is no longer set."),
    ("job.seal_damaged", "What is sealed is damaged."),
    ("action.no_such_job", "Job with ID {job} not found."),
    ("action.retried", "Job {job} has been successfully re-queued."),
    ("action.not_retried", "Job {job} cannot be retried. {reason}"),
    ("action.canceled", "Job {job} has been canceled."),
    ("action.not_canceled", "Job {job} cannot be canceled. {reason}"),
    ("action.retried_all", "Jobs re-queued: {count}."),
    ("action.no_such_sender", "There is no sender named {sender}."),
    ("action.reload_asked", "Reload of sender {sender} was asked for."),
    ("action.logout_asked", "Logout of sender {sender} was asked for; a new QR code follows."),
    ("action.pairing_asked", "A code for linking sender {sender} was asked for."),
    (
        "action.not_a_number",
        "That is no phone number in international form, beginning with + and the country.",
    ),
    ("action.paused", "Sender {sender} is paused. New codes are accepted and wait."),
    ("action.paused_already", "Sender {sender} is paused already."),
    ("action.resumed", "Sender {sender} sends again."),
    ("action.not_paused", "Sender {sender} is not paused."),
    ("action.codes_found", "Codes found: {count}."),
    ("refusal.expired", "Expired: ask for a new code."),
    ("refusal.canceled", "Canceled: ask for a new code."),
    ("refusal.erased", "Its code is erased: ask for a new code."),
    ("refusal.not_failed", "It has not failed."),
    ("refusal.not_queued", "It no longer waits."),
    ("command.no_device", "No device is linked."),
    (
        "command.not_unlinked",
        "The session is deleted here, but WhatsApp could not be told: remove this device on"
        " the phone, under Linked devices.",
    ),
    ("command.link_ran_out", "The link was about to run out; a new one opens now. Ask again."),
    ("command.no_answer", "WhatsApp did not answer. Try again in a minute."),
    ("command.no_pair_code", "WhatsApp gives no code for this number: {reason}."),
    ("command.linked_already", "A device is linked already. Log it out first."),
    (
        "command.no_link",
        "WhatsApp offers no link just now; see the sender's state. Restart Hudhud, then try again.",
    ),
    ("command.needs_no_phone", "The sandbox needs no phone. Set CHANNEL=linked to pair one."),
    ("command.has_no_session", "The sandbox has no session. Set CHANNEL=linked to use one."),
    ("command.logged_out", "Logged out; a new QR code follows."),
    ("command.reloaded", "The sender starts anew with its session."),
    ("command.stale", "The sender was not running in time."),
    ("command.abandoned", "The sender's process ended meanwhile."),
    ("webhook.no_answer", "No answer within {detail} s."),
    ("webhook.no_connection", "No connection: {detail}."),
    ("webhook.connection_ended", "The connection ended before the answer: {detail}."),
    ("webhook.tls_failed", "TLS failed"),
    ("webhook.redirected", "The answer {status} leads elsewhere, and is not followed."),
    ("webhook.refused_saying", "The receiver answered {status}: {excerpt}"),
    ("webhook.refused", "The receiver answered {status}."),
    ("webhook.gone", "The receiver answered 410: it wants no more."),
    (
        "webhook.secret_lost",
        "The endpoint's secret cannot be opened. Give it a new one: rotate it.",
    ),
    ("webhook.our_fault", "Hudhud itself failed to deliver it; the log says how."),
    ("webhook.too_old", "It waited longer than all attempts take, and was given up."),
    ("webhook.no_address", "The name {host} has no address. Look whether it is right."),
    (
        "webhook.not_public",
        "The name {host} leads to {address}, which is not on the public internet. Where "
        "that is meant, set WEBHOOK_ALLOW_PRIVATE=true.",
    ),
    ("webhook.replayed", "Deliveries: {count}."),
    ("login.with_app", "With second factor"),
    ("login.with_recovery_code", "With a recovery code"),
    ("login.wrong_password", "Wrong username or password"),
    ("login.wrong_code", "Wrong second factor"),
    ("login.limit_reached", "Failed 5 times: no further attempt from this address for 15 minutes"),
    ("key.scopes", "Scopes: {detail}."),
    ("key.earlier_works_until", "The earlier secret works until {detail}."),
)


def coded(text: str) -> tuple[str, dict[str, object]]:
    """Return a text's code and parameters; `other` if it is unknown."""
    code = _WHOLE.get(text)
    if code is not None:
        return code, {}
    for code, pattern in _PATTERNS:
        match = pattern.fullmatch(text)
        if match is not None:
            return code, {name: _value(name, value) for name, value in match.groupdict().items()}
    return OTHER, {"text": text}


def _value(name: str, text: str) -> object:
    """Convert a parameter, which may itself be a sentence."""
    if name in _NUMBERS:
        return int(text)
    code = _WHOLE.get(text)
    return text if code is None else {"code": code, "params": {}}


def _pattern(text: str) -> re.Pattern[str]:
    holes = _HOLE.sub(
        lambda hole: rf"(?P<{hole[1]}>\d+)" if hole[1] in _NUMBERS else rf"(?P<{hole[1]}>.+)",
        re.escape(text),
    )
    return re.compile(holes, re.DOTALL)


# If several codes have the same text, the first one counts.
_WHOLE = {text: code for code, text in reversed(SENTENCES) if "{" not in text}
_PATTERNS = [(code, _pattern(text)) for code, text in SENTENCES if "{" in text]
