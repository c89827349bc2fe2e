"""The English texts of all sentences, by code.

They are also the gettext ids by which the dashboard translates them. A text may change, but a code
may not: it is stored in rows.
"""

from collections.abc import Mapping
from typing import Final

# The code of a sentence without a code of its own.
OTHER: Final = "other"

_SENDERS = {
    "sender.starting": "The sender is starting.",
    "sender.pairing": (
        "Open WhatsApp on the phone: Linked devices, Link a device, then scan the QR code."
    ),
    "sender.connected": "Connected to WhatsApp.",
    "sender.reconnecting": (
        "The connection to WhatsApp was lost; it is being restored. Nothing to do yet."
    ),
    "sender.logged_out": (
        "The phone logged this device out. Scan the new QR code to link it again."
    ),
    "sender.restricted": (
        "WhatsApp restricted this account. Sending resumes by itself when the restriction is "
        "lifted."
    ),
    "sender.outdated": "WhatsApp no longer accepts this version of Hudhud. Update Hudhud.",
    "sender.replaced": (
        "Another program uses this session. Stop the other one, then reload the session."
    ),
    "sender.stopped": "The sender is stopped. Start it with: hudhud serve",
    "sender.not_needed": "Not needed: no test key is in use.",
    "channel.linked": "WhatsApp sender",
    "channel.linked_ready": "WhatsApp is connected.",
    "channel.linked_took": "WhatsApp accepted the message for delivery.",
    "channel.phone_received": "The phone received it.",
    "channel.sandbox": "Sandbox",
    "channel.sandbox_ready": "The sandbox takes every code and sends none.",
    "channel.sandbox_took": "The sandbox took the message; nothing left this machine.",
    "channel.sandbox_delivered": "The sandbox simulated the receipt of a phone.",
    "channel.whatsapp": "WhatsApp",
    "channel.unknown": "Sender of an unknown channel",
    "channel.unknown_provider": "The provider",
    "channel.unknown_ready": "The sender is connected.",
    "channel.unknown_took": "The provider accepted the message for delivery.",
    "sandbox.connected": "The sandbox takes every message and sends none.",
}
_LINKED = {
    "linked.dropped": (
        "The connection to WhatsApp was lost; it is being restored. Nothing to do yet."
    ),
    "linked.stream_error": (
        "WhatsApp ended the connection with error {detail}; it is being restored. "
        "Nothing to do yet."
    ),
    "linked.unreachable": (
        "WhatsApp cannot be reached ({detail}). Hudhud keeps trying. "
        "Check this machine's connection to the internet, and WHATSAPP_PROXY."
    ),
    "linked.silent": "WhatsApp stopped answering; Hudhud is reconnecting. Nothing to do yet.",
    "linked.hung_send": (
        "WhatsApp did not answer a message; Hudhud reconnects and sends it again. Nothing to do "
        "yet."
    ),
    "linked.broken": (
        "The WhatsApp library stopped ({detail}); Hudhud is reconnecting. If this repeats, "
        "update Hudhud."
    ),
    "linked.refused": (
        "WhatsApp refuses this device ({detail}). Hudhud keeps trying. If it lasts, update "
        "Hudhud, or log out and link the device again."
    ),
    "linked.session_unusable": (
        "The session of the linked device cannot be opened ({detail}). Hudhud keeps trying. "
        "Check the disk and its permissions, or the database: hudhud doctor"
    ),
    "linked.logged_out": (
        "The phone logged this device out. Scan the new QR code to link it again."
    ),
    "linked.main_device_gone": (
        "WhatsApp says that the account moved to another phone or is locked. Open WhatsApp on "
        "its phone; when it works there, scan the new QR code."
    ),
    "linked.unknown_logout": (
        "WhatsApp ended the session and gave no reason; often the account is banned. Open "
        "WhatsApp on its phone; when it works there, scan the new QR code."
    ),
    "linked.session_gone": (
        "The session of the linked device is gone from this machine. On the phone remove the "
        "old device from Linked devices, then scan the new QR code."
    ),
    "linked.operator_logout": (
        "An operator logged this device out. Scan the new QR code to link one again."
    ),
    "linked.replaced": (
        "Another program uses this session. Stop the other one, then reload the session; "
        "Hudhud tries again by itself in a quarter of an hour."
    ),
    "linked.temporary_ban": (
        "WhatsApp banned this account for a time ({detail}). Hudhud connects again when the ban "
        "ends. Send more slowly then, and to people who expect it."
    ),
    "linked.outdated": "WhatsApp no longer accepts this version of Hudhud. Update Hudhud.",
    "linked.qr_timeout": "The QR code expired before it was scanned. A new one follows.",
    "linked.pairing_failed": (
        "Linking failed: the phone's answer was not valid. Scan the new QR code that follows."
    ),
    "linked.pairing_refused": (
        "WhatsApp does not allow new devices to be linked from here at the moment. Hudhud tries "
        "again by itself; if it lasts, update Hudhud."
    ),
    "linked.passkey": (
        "The phone asks for the account's passkey, which Hudhud cannot provide. Reload the "
        "session, then link by phone number or link another account. The WhatsApp Business Cloud "
        "API, planned for a later version, needs no phone."
    ),
    "linked.type_the_code": (
        "On the phone open WhatsApp, tap Linked devices, Link a device, Link with phone number "
        "instead, and type the code shown here. You can also scan the QR code."
    ),
    "linked.just_linked": "The phone linked this device; connecting to WhatsApp.",
    "linked.strangers_refused": (
        "WhatsApp refuses messages to people who never wrote to this account. Those who did are "
        "still reached; now and then one message checks whether the restriction is over. Send "
        "more slowly."
    ),
}
_JOBS = {
    "job.no_account": "There is no WhatsApp account for this number.",
    "job.own_number": "This is the sender's own number. Send the code to a person's number.",
    "job.stranger": (
        "WhatsApp refuses messages of this account to people who never wrote to it (error 463)."
    ),
    "job.too_much": "WhatsApp asks this account to send less (error 420 or 429).",
    "job.offline": "The sender is not connected to WhatsApp.",
    "job.unknown_outcome": (
        "WhatsApp did not answer in time; whether the message went out is unknown."
    ),
    "job.no_number_check": "WhatsApp did not answer a number check.",
    "job.not_taken": "WhatsApp did not accept it: {detail}.",
    "job.expired": "The code expired before it could be sent.",
    "job.lost": "The sender ended before it could report whether the message was sent.",
    "job.too_late": "There was no time left to send it.",
    "job.no_database": "The database could not be used.",
    "job.broke": "Sending failed unexpectedly; the log has the details.",
    "job.secret_unset": "It was encrypted with a secret that is no longer set.",
    "job.seal_damaged": "The encrypted code is damaged.",
}
_COMMANDS = {
    "command.no_device": "No device is linked.",
    "command.not_unlinked": (
        "The session is deleted here, but WhatsApp could not be informed: remove this device on "
        "the phone, under Linked devices."
    ),
    "command.link_ran_out": "The link was about to expire; a new one opens now. Ask again.",
    "command.no_answer": "WhatsApp did not answer. Try again in a minute.",
    "command.no_pair_code": "WhatsApp gives no code for this number: {reason}.",
    "command.linked_already": "A device is linked already. Log it out first.",
    "command.no_link": (
        "WhatsApp offers no link at the moment; see the sender's state. Restart Hudhud, then "
        "try again."
    ),
    "command.needs_no_phone": "The sandbox needs no phone. Set CHANNEL=linked to pair one.",
    "command.has_no_session": "The sandbox has no session. Set CHANNEL=linked to use one.",
    "command.logged_out": "Logged out; a new QR code follows.",
    "command.reloaded": "The sender restarts with its session.",
    "command.stale": "The sender was not running in time.",
    "command.abandoned": "The sender's process ended before this was done.",
    "command.not_taken": (
        "The sender is not running, so this was not done. Start it with: hudhud serve"
    ),
    "command.no_state_yet": "The sender did not come back within 20 s. See its log.",
}
_WEBHOOKS = {
    "webhook.no_answer": "No answer within {detail} s.",
    "webhook.no_connection": "No connection: {detail}.",
    "webhook.connection_ended": "The connection ended before the answer: {detail}.",
    "webhook.tls_failed": "TLS failed",
    "webhook.redirected": "The receiver answered with redirect {status}, which is not followed.",
    "webhook.refused": "The receiver answered {status}.",
    "webhook.refused_saying": "The receiver answered {status}: {excerpt}",
    "webhook.gone": "The receiver answered 410: it no longer accepts events.",
    "webhook.secret_lost": "The endpoint's secret cannot be opened. Give it a new one: rotate it.",
    "webhook.our_fault": "Hudhud itself failed to deliver it; see the log.",
    "webhook.too_old": "It waited longer than all attempts take, and failed.",
    "webhook.no_address": "The name {host} has no address. Check its spelling.",
    "webhook.not_public": (
        "The name {host} resolves to {address}, which is not on the public internet. To allow "
        "that, set WEBHOOK_ALLOW_PRIVATE=true."
    ),
    "webhook.address_too_long": "An address has at most {detail} characters.",
    "webhook.address_not_ascii": (
        "An address is plain ASCII: write names as xn--… and paths with %."
    ),
    "webhook.address_malformed": "An address must look like https://shop.example/hudhud.",
    "webhook.address_with_password": (
        "An address holds no name and password: the signature proves who sends."
    ),
    "webhook.address_with_fragment": "An address has no # and no backslash.",
    "webhook.no_events": "Choose the events to deliver.",
    "webhook.unknown_events": "Unknown events. Choose from: {detail}.",
    "webhook.sender_events": "Events of senders belong to no API key: leave the key out for them.",
    "webhook.overlap_too_long": "The previous secret may sign for at most 30 days.",
    "webhook.rotated_already": (
        "The secret has already been replaced, and the previous one also signs until {until}. "
        "Replace it again after that."
    ),
    "webhook.replayed": "Deliveries: {count}.",
    "webhook.not_for_keys": ("Webhooks are added and changed after a login, not with an API key."),
}
_ACTIONS = {
    "action.no_such_job": "Job with ID {job} not found.",
    "action.retried": "Job {job} has been successfully re-queued.",
    "action.not_retried": "Job {job} cannot be retried. {reason}",
    "action.canceled": "Job {job} has been canceled.",
    "action.not_canceled": "Job {job} cannot be canceled. {reason}",
    "action.retried_all": "Jobs re-queued: {count}.",
    "action.no_such_sender": "There is no sender named {sender}.",
    "action.reload_asked": "Sender {sender} is reloading.",
    "action.logout_asked": "Sender {sender} is logging out; a new QR code follows.",
    "action.pairing_asked": "A code to link sender {sender} has been requested.",
    "action.not_a_number": (
        "That is not a phone number in international format, starting with + and the country code."
    ),
    "action.paused": "Sender {sender} is paused. New codes are accepted and wait.",
    "action.paused_already": "Sender {sender} is already paused.",
    "action.resumed": "Sender {sender} is sending again.",
    "action.not_paused": "Sender {sender} is not paused.",
    "action.codes_found": "Codes found: {count}.",
    "action.codes_left_out": "Too many different searches: codes were left out.",
    "refusal.expired": "Expired: ask for a new code.",
    "refusal.canceled": "Canceled: ask for a new code.",
    "refusal.erased": "Its code has been erased: ask for a new code.",
    "refusal.not_failed": "It has not failed.",
    "refusal.not_queued": "It no longer waits.",
}
_TRIALS = {
    "trial.sent": "A test code is queued for {phone}, as job {job}.",
    "trial.not_for_keys": (
        "Test codes are sent after a login. With an API key, use POST /api/v1/otp/send."
    ),
    "trial.limit_per_number": (
        "Too many codes to this number: LIMIT_PER_NUMBER allows {rate}. Try again in {seconds} s."
    ),
    "trial.limit_per_key": (
        "Too many test codes: LIMIT_PER_KEY allows {rate}. Try again in {seconds} s."
    ),
    "trial.limit_per_country": (
        "Too many codes to this country: LIMIT_PER_COUNTRY allows {rate}. Try again in {seconds} s."
    ),
    "trial.limit_per_prefix": (
        "Too many codes to numbers like this one: LIMIT_PER_PREFIX allows {rate}. Try again in "
        "{seconds} s."
    ),
    "trial.limit_total": (
        "Too many codes in all: LIMIT_TOTAL allows {rate}. Try again in {seconds} s."
    ),
    "trial.no_room": (
        "No code is accepted just now: it would expire before it could be sent. Try again in "
        "{seconds} s."
    ),
    "trial.restricted": (
        "Every sender is restricted, so that no code arrives in time. Try again in {seconds} s."
    ),
    "trial.restricted_to_known": (
        "Every sender is restricted to people who wrote to it first. Write to the linked number "
        "from that phone, or try again in {seconds} s."
    ),
    "trial.country_not_allowed": (
        "No codes are sent to this country: ALLOWED_COUNTRIES or DENIED_COUNTRIES excludes it."
    ),
    "trial.country_blocked": (
        "No codes are sent to this country for now: CONVERSION_GUARD blocks it, because far fewer "
        "of them are confirmed than usual. Try again later."
    ),
    "trial.right": "The code is right: codes arrive, and Hudhud checks them.",
    "trial.wrong": "That is not the code that was sent. Wrong codes still allowed: {left}.",
    "trial.type_it": "Type the code that arrived on the phone.",
    "trial.nothing_pending": "No test code waits to be checked. Send a new one.",
    "trial.already_used": "This test code was checked already.",
    "trial.expired": "The test code has expired. Send a new one.",
    "trial.too_many_wrong_codes": (
        "Too many wrong codes were typed for this number. Try again in {seconds} s, or use another "
        "one."
    ),
    "trial.max_attempts_reached": "Too many wrong codes were typed. Send a new test code.",
}
_LOGINS = {
    "login.too_many": "Too many login attempts from this IP, please try again after 15 minutes.",
    "login.busy": "Too many logins are being checked just now. Try again in a few seconds.",
    "login.invalid": "Invalid username or password",
    "login.code_does_not_fit": (
        "That code is not valid. Check the phone's clock, or use a recovery code."
    ),
    "login.not_the_owner": "That is neither the password nor a valid code.",
    "login.seal_lost": (
        "The second factor cannot be checked: the secret that sealed it is no longer set. On the "
        "server, run: hudhud admin reset-second-factor"
    ),
    "login.with_app": "With second factor",
    "login.with_recovery_code": "With a recovery code",
    "login.wrong_password": "Wrong username or password",
    "login.wrong_code": "Wrong second factor",
    "login.limit_reached": "Failed 5 times: no further attempt from this address for 15 minutes",
    "login.browser_limit_reached": (
        "Failed 5 times: no further attempt from this browser for 15 minutes"
    ),
    "login.network_limit_reached": (
        "Failed {count} times: no further attempt from the network {network} for 15 minutes"
    ),
    "login.csrf_wrong": ("The form has expired. Reload the page and try again."),
    "login.key_without_scope": (
        "This API key may not use the admin's routes: it lacks the scope admin."
    ),
    "login.second_factor_for_people": (
        "A second factor belongs to a login; an API key needs none."
    ),
}
_KEYS = {
    "key.scopes": "Scopes: {detail}.",
    "key.and": "{first}; {rest}",
    "key.from": "from {detail}",
    "key.hides_code": "codes hidden",
    "key.digits": "{count} digits",
    "key.may_link_verify": "may verify by link",
    "key.expires": "expires {detail}",
    "key.earlier_works_until": "The previous secret works until {detail}.",
    "key.not_for_keys": "API keys are created and revoked after a login, not with another key.",
    "key.expiry_past": "A key's expiry must be in the future.",
    "key.overlap_too_long": "The overlap of a rotation lasts at most 30 days.",
    "key.name_length": "A key's name has 1 to {detail} characters.",
    "key.name_not_plain": "A key's name holds no control characters.",
    "key.name_reserved": "This name means the key of API_KEY. Choose another name.",
    "key.name_taken": (
        "A key named {name} exists already. Choose another name, or rotate or revoke it."
    ),
    "key.unknown_scope": "A key needs one or more of these scopes: {listed}.",
    "key.test_not_admin": "A test key cannot have the scope admin.",
    "key.too_many_networks": "A key may be used from {detail} addresses or networks at most.",
    "key.no_network": (
        "A key cannot be used from “{shown}”: write addresses or networks, like 192.0.2.7 or "
        "192.0.2.0/24."
    ),
    "key.code_length": "Codes have {shortest} to {longest} digits.",
    "key.days": "A key expires after 1 to {detail} days, or never.",
    "key.no_limit": (
        "Not a valid limit: write it as 1/30s,5/1h,10/1d (units s, m, h, d), or 0 for none."
    ),
    "key.unknown": "There is no such key.",
}
_FORMS = {
    "form.not_a_form": "The body must be a form, or a JSON object whose values are text.",
    "form.too_many_fields": "The form has too many fields.",
    "query.not_one_of": "{name}: must be one of {detail}.",
    "query.not_a_number": "{name}: must be a whole number from 1 to {most}.",
    "query.search_too_long": "searchQuery: at most {detail} characters.",
    "query.too_deep": (
        "page: only the first {detail} jobs have page numbers. Continue with ?cursor=, the "
        "nextCursor of the page before."
    ),
}

ENGLISH: Final[Mapping[str, str]] = {
    OTHER: "{text}",
    **_SENDERS,
    **_LINKED,
    **_JOBS,
    **_COMMANDS,
    **_WEBHOOKS,
    **_ACTIONS,
    **_TRIALS,
    **_LOGINS,
    **_KEYS,
    **_FORMS,
}
