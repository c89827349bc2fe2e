"""What `hudhud serve` prints on a terminal: where to go, how to log in, the first request."""

from dataclasses import dataclass

from hudhud import __version__
from hudhud.auth.first_credentials import FirstCredentials
from hudhud.channels.registry import channel_type
from hudhud.core.settings import Settings

FIRST_REQUEST = """\
{first_step}

  curl -X POST {address}/api/v1/otp/send \\
    -H 'X-API-KEY: {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"phoneNumber": "{phone}"}}'
{key_hint}"""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The addresses and credentials, which stay visible below the QR code, and a first request."""

    access: list[str]
    first_request: str

    @property
    def text(self) -> str:
        """The whole text."""
        return "\n".join([*self.access, "", self.first_request])


def greeting(settings: Settings, address: str, made: FirstCredentials | None) -> Greeting:
    """Return the greeting of a service at this address; `made` are credentials of this start."""
    return Greeting(_access(settings, address, made), _first_request(settings, address, made))


def _access(settings: Settings, address: str, made: FirstCredentials | None) -> list[str]:
    password = None if made is None else made.admin_password
    key = None if made is None else made.api_key
    return [
        f"Hudhud {__version__} is running. Ctrl-C stops it.",
        "",
        f"  Dashboard:      {address}/admin/status",
        f"  API reference:  {address}/api/docs",
        f"  Admin name:     {settings.admin_username}",
        f"  Admin password: {password or _known_password(settings)}",
        *([] if key is None else [f"  API key:        {key}"]),
    ]


def _known_password(settings: Settings) -> str:
    if settings.admin_password is not None:
        return "the ADMIN_PASSWORD of your settings"
    return "shown at the first start. To set another: hudhud admin set-password"


def _first_request(settings: Settings, address: str, made: FirstCredentials | None) -> str:
    key = None if made is None else made.api_key
    reaches_people = channel_type(settings.channel).reaches_people
    return FIRST_REQUEST.format(
        address=address,
        first_step=_first_step(settings.channel),
        key=key or "YOUR_KEY",
        phone="+YOUR_NUMBER" if reaches_people else "+201001234567",
        key_hint="" if key else _key_hint(settings),
    ).rstrip()


def _first_step(channel: str) -> str:
    row = channel_type(channel)
    if not row.reaches_people:
        return f"Request the first code; the {channel} sends nothing:"
    if row.needs_pairing:
        return "With WhatsApp linked, send the first code to your own phone:"
    return "Send the first code to your own phone:"


def _key_hint(settings: Settings) -> str:
    if settings.api_key is not None:
        return "\nYOUR_KEY is the API_KEY of your settings."
    return "\nYOUR_KEY was shown at the first start. To create another: hudhud keys create NAME"
