"""Examples of requests and answers in the API's document, by the summary of the operation.

A test sends each request, and compares each error with the answer of a server.
"""

from collections.abc import Mapping
from typing import Final

from hudhud.verification import check, lifecycle, resend
from hudhud.verification.idempotency import OTHER_BODY
from hudhud.verification.links import start
from hudhud.web.api import auth, phone_number
from hudhud.web.api.fields import INVALID, NOT_JSON, NOT_MULTIPART
from hudhud.web.http import errors
from hudhud.web.http.api_key import ADDRESS_NOT_ALLOWED, KEY_WRONG
from hudhud.web.http.bodies import NOT_SUPPORTED

# The title of an example, and its body.
Examples = Mapping[str, object]

PHONE: Final = "+201001234567"
ID: Final = "v019aadf1c4e87b2f3d5a6c8e9f0b1d2c3a4e5f60718"
CREATED: Final = "2026-12-01T08:00:00.000Z"
SENT: Final = "2026-12-01T08:00:01.412Z"
ARRIVED: Final = "2026-12-01T08:00:02.207Z"
EXPIRES: Final = "2026-12-01T08:05:00.000Z"
JOB: Final = 4711

REQUESTS: Final[Mapping[str, Examples]] = {
    "Send a code": {
        "The number alone": {"phoneNumber": PHONE},
        "In a language, for an order": {
            "phoneNumber": PHONE,
            "locale": "ar",
            "reference": "order-1042",
            "clientIp": "198.51.100.7",
        },
        "With your own code": {"phoneNumber": PHONE, "code": "482913", "hideCode": True},
    },
    "Check a code": {
        "By the verification": {"verificationId": ID, "otp": "482913"},
        "By the job": {"jobId": JOB, "otp": "482913"},
        "By the number": {"phoneNumber": PHONE, "otp": "482913"},
    },
    "Let the user write first": {
        "Reply with a code": {"mode": "reply"},
        "Prove a number": {"mode": "verify", "phoneNumber": PHONE},
    },
    "Write to the sandbox": {"A link's text": {"phoneNumber": PHONE, "text": "Code: K7M2X9"}},
}

_VERIFICATION: Final = {
    "verificationId": ID,
    "status": "pending",
    "reason": None,
    "phoneNumber": PHONE,
    "provedNumber": None,
    "whatsappNumber": None,
    "mode": "send",
    "template": "otp",
    "locale": "ar",
    "reference": "order-1042",
    "metadata": None,
    "redirectUrl": None,
    "attemptsRemaining": 5,
    "resendsRemaining": 3,
    "created_at": CREATED,
    "otp_expires_at": EXPIRES,
    "ended_at": None,
    "jobs": [
        {
            "jobId": JOB,
            "status": "sent",
            "delivery": "delivered",
            "error": None,
            "created_at": CREATED,
        }
    ],
}
_JOB: Final = {
    "jobId": JOB,
    "status": "sent",
    "delivery": "delivered",
    "error": None,
    "attempts": 1,
    "created_at": CREATED,
    "otp_expires_at": EXPIRES,
    "sending_at": SENT,
    "sent_at": SENT,
    "delivered_at": ARRIVED,
    "read_at": None,
    "finished_at": None,
    "verificationId": ID,
}


def _readiness(status: str, database: str, state: str) -> object:
    sender = {"name": "main", "state": state, "detail": "Connected.", "running": True}
    return {"status": status, "database": database, "migrations": "current", "senders": [sender]}


ANSWERS: Final[Mapping[str, Mapping[int, Examples]]] = {
    "Send a code": {
        202: {
            "Accepted": {
                "message": "OTP request accepted and has been queued for sending.",
                "otp": "4829",
                "jobId": JOB,
                "otp_expires_at": EXPIRES,
                "verificationId": ID,
            }
        }
    },
    "Check a code": {
        200: {
            "Right": {"valid": True, "status": "approved", "verificationId": ID},
            "Wrong": {
                "valid": False,
                "status": "pending",
                "verificationId": ID,
                "attemptsRemaining": 4,
            },
        }
    },
    "Let the user write first": {
        201: {
            "Started": {
                "verificationId": ID,
                "whatsappLink": "https://wa.me/201005550001?text=Code%3A%20K7M2X9",
                "token": "K7M2X9",
                "otp_expires_at": EXPIRES,
            }
        }
    },
    "Get the status": {200: {"A verification": _VERIFICATION, "A job": _JOB}},
    "List verifications": {
        200: {"One of many": {"verifications": [_VERIFICATION], "nextCursor": ID}}
    },
    "Cancel": {
        200: {
            "Canceled": {
                **_VERIFICATION,
                "status": "canceled",
                "reason": "api",
                "ended_at": ARRIVED,
            }
        }
    },
    "Send the code again": {
        202: {
            "Queued": {
                "message": "The code has been queued for sending again.",
                "verificationId": ID,
                "jobId": JOB + 1,
                "otp_expires_at": EXPIRES,
                "resendsRemaining": 2,
            }
        }
    },
    "List the sandbox's messages": {
        200: {
            "One message": {
                "messages": [
                    {
                        "jobId": JOB,
                        "phoneNumber": PHONE,
                        "text": "4829 is your Hudhud code.",
                        "delivery": "delivered",
                        "sent_at": SENT,
                    }
                ]
            }
        }
    },
    "Welcome": {
        200: {
            "Running": {
                "message": "Hudhud 0.1.0 is running.",
                "status": "success",
                "timestamp": CREATED,
            }
        }
    },
    "Alive": {200: {"Alive": {"status": "ok"}}},
    "Write to the sandbox": {
        202: {"Taken": {"message": "The text was taken as if a person had sent it."}}
    },
    "Ready": {
        200: {"Ready": _readiness("ready", "writable", "connected")},
        503: {"Not ready": _readiness("not ready", "cannot be written", "connected")},
    },
}


def _error(sentence: str, word: str | None = None, **more: str) -> object:
    return {"message": sentence, **({} if word is None else {"error": word}), **more}


_RATE_LIMITED: Final = _error(
    "Too many codes to this number: at most 1 in 30s. Try again in 24 s.", "rate_limited"
)
_WRONG_CODES: Final = _error(
    "Too many wrong codes were typed for this number: at most 10 in 1h. Try again in 2100 s, or "
    "let the user prove the number with a link.",
    "too_many_wrong_codes",
)
_SCOPE_MISSING: Final = _error(auth.scope_missing(frozenset({"send"}), "verify"), "scope_missing")
_OTHER_ADDRESS: Final = _error(ADDRESS_NOT_ALLOWED, "address_not_allowed")
# Errors of all operations that can answer with the status.
ERRORS: Final[Mapping[int, Examples]] = {
    400: {
        "A wrong field": _error(
            'Bad Request: "reference" must be a text of at most 64 characters.', INVALID
        )
    },
    401: {"No key": _error(auth.KEY_MISSING), "Wrong key": _error(KEY_WRONG)},
    403: {"Without the scope": _SCOPE_MISSING, "From another address": _OTHER_ADDRESS},
    404: {"Unknown": _error(check.NOTHING, "nothing_pending")},
    410: {"Expired": _error(lifecycle.OVER, "expired")},
    413: {"Too large": _error(errors.TOO_LARGE)},
    415: {
        "Multipart": _error(NOT_MULTIPART, "unsupported_media_type"),
        "Compressed otherwise": _error(NOT_SUPPORTED, "unsupported_content_encoding"),
    },
    422: {"Other body": _error(OTHER_BODY, "idempotency_key_reused")},
    429: {"Limit reached": _RATE_LIMITED},
    500: {"Defect": _error(errors.UNEXPECTED)},
    503: {"Nothing stored": _error(errors.UNAVAILABLE)},
}
# Those of one operation, instead.
OWN_ERRORS: Final[Mapping[str, Mapping[int, Examples]]] = {
    "Send a code": {
        400: {
            "No number": _error(phone_number.REQUIRED),
            "No such number": _error(phone_number.INVALID),
            "No JSON": _error(NOT_JSON),
        },
    },
    "Check a code": {
        409: {"Used": _error(check.USED, "already_used")},
        429: {
            "Attempts used up": _error(check.USED_UP, "max_attempts_reached"),
            "Too many for the number": _WRONG_CODES,
        },
    },
    "Cancel": {409: {"Ended": _error(resend.ENDED, "not_pending")}},
    "Send the code again": {
        409: {"Not sent yet": _error(resend.STILL_QUEUED, "still_queued")},
        429: {
            "Too early": _error(resend.TOO_EARLY, "resend_too_early"),
            "Used up": _error(resend.NO_MORE, "resends_used_up"),
        },
    },
    "The link as a QR code": {
        404: {"Unknown": _error(start.NO_LINK, "not_found")},
        410: {"Over": _error(start.LINK_OVER, "link_over")},
    },
    "Let the user write first": {
        503: {
            "No phone linked": _error(start.NOT_LINKED, "no_linked_sender"),
            "Nothing stored": _error(errors.UNAVAILABLE),
        },
    },
}


def answers(summary: str | None, status: int) -> Examples:
    """Return the examples of an operation's answer with this status; none if there are none."""
    name = summary or ""
    own = {**ANSWERS.get(name, {}), **OWN_ERRORS.get(name, {})}
    return own.get(status, ERRORS.get(status, {}))
