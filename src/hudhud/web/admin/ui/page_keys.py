"""The keys that sign forms and notices."""

from dataclasses import dataclass
from typing import cast

from hudhud.web.admin.ui.csrf import CsrfKey
from hudhud.web.admin.ui.notices import NoticeKey
from hudhud.web.http.request import AnyRequest


@dataclass(frozen=True, slots=True)
class PageKeys:
    """The keys of CSRF tokens and notices."""

    csrf: CsrfKey
    notices: NoticeKey


def build_page_keys(secret: str, previous_secret: str | None) -> PageKeys:
    """Derive the keys from the secret."""
    return PageKeys(csrf=CsrfKey(secret, previous_secret), notices=NoticeKey(secret))


def page_keys_of(request: AnyRequest) -> PageKeys:
    """Return the keys of the request's application."""
    return cast("PageKeys", request.app.state.page_keys)
