"""POST /admin/theme: light, dark, or the system's theme."""

from litestar import Response, post

from hudhud.web.admin.login.guard import authenticate_changer
from hudhud.web.admin.ui.forms import form_of
from hudhud.web.admin.ui.render import ADMIN_PATH, keep_choice, see_other
from hudhud.web.admin.ui.view import THEMES
from hudhud.web.http.request import THEME_COOKIE, AnyRequest


@post("/admin/theme", include_in_schema=False)
async def choose_theme(request: AnyRequest) -> Response[str]:
    """Store the theme in a cookie and redirect back."""
    await authenticate_changer(request)
    form = await form_of(request)
    answer = see_other(request, form.one("back"))
    if form.one("theme") in THEMES:
        # The API reference has the same theme. Earlier versions kept it for the dashboard only.
        keep_choice(request, answer, THEME_COOKIE, form.one("theme"), path="/")
        answer.delete_cookie(THEME_COOKIE, path=ADMIN_PATH)
    return answer
