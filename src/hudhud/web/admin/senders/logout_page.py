"""GET /admin/whatsapp/logout-session: confirm a logout, by page or dialog."""

from litestar import Response, get
from litestar.exceptions import NotFoundException

from hudhud.core.clock import now_ms
from hudhud.messages import statistics
from hudhud.senders import records
from hudhud.web.admin.login.guard import authenticate_reader
from hudhud.web.admin.ui.render import page
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.http.request import AnyRequest, is_htmx
from hudhud.web.state import AppState, state_of


@get("/admin/whatsapp/logout-session", include_in_schema=False)
async def confirm_logout(request: AnyRequest) -> Response[str]:
    """Explain the logout of the sender `?sender=` and ask for confirmation."""
    actor = await authenticate_reader(request)
    state = state_of(request)
    sender = request.query_params.get("sender") or state.sender.name
    waiting = (
        await in_render_thread(_waiting, state, sender) if records.may_be_name(sender) else None
    )
    if waiting is None:
        raise NotFoundException
    template = "partials/confirm_logout.html" if is_htmx(request) else "confirm_logout.html"
    return await in_render_thread(
        page, request, template, actor=actor, sender=sender, waiting=waiting
    )


def _waiting(state: AppState, sender: str) -> int | None:
    """Return how many codes wait, or None for an unknown sender."""
    with state.database.read() as connection:
        if records.find(connection, sender) is None:
            return None
        numbers = statistics.numbers(
            connection,
            channel=state.sender.channel,
            now=now_ms(),
            mean_gap=state.sender.mean_gap,
        )
    return numbers.pending
