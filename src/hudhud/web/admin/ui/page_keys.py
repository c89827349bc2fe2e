"""The keys by which pages know their own forms and notices again."""

from dataclasses import dataclass
from typing import cast

from hudhud.web.admin.ui.csrf import CsrfKey
from hudhud.web.admin.ui.notices import NoticeKey
from hudhud.web.http.request import AnyRequest


@dataclass(frozen=True, slots=True)
class PageKeys:
    """What signs the tokens of forms, and the notices of the page that follows."""

    csrf: CsrfKey
    notices: NoticeKey


def build_page_keys(secret: str, previous_secret: str | None) -> PageKeys:
    """Derive them from the secret."""
    return PageKeys(csrf=CsrfKey(secret, previous_secret), notices=NoticeKey(secret))


def page_keys_of(request: AnyRequest) -> PageKeys:
    """Return the keys of the application that got the request."""
    return cast("PageKeys", request.app.state.page_keys)
