"""/api/docs: the API's documentation, drawn by Swagger UI from /api/openapi.json.

Litestar's own pages contain inline scripts and load from other origins.
"""

from typing import Any

from litestar import MediaType, Request, get
from litestar.types import ControllerRouterHandler

from hudhud.web.api.openapi import OPENAPI_PATH
from hudhud.web.http.request import THEME_COOKIE
from hudhud.web.http.static_files import static_file, static_url

ALLOWED = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",  # Swagger UI's stylesheet draws its arrows and locks from data:
    "connect-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{what} {where}" for what, where in ALLOWED.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
SWAGGER_UI = "vendor/swagger-ui-dist"
PAGE = """\
<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference · Hudhud</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{swagger_style}">
<link rel="stylesheet" href="{tokens}">
<link rel="stylesheet" href="{style}">
<script src="{swagger_script}" defer></script>
<script src="{script}" defer></script>
</head>
<body>
<header class="top">
<a class="brand" href="/admin/status"><img src="{icon}" alt="" width="28" height="28"> Hudhud</a>
<nav aria-label="Main"><a href="/admin/status">Dashboard</a> <a href="/admin/docs/api">Guide</a> \
<a href="{document}">OpenAPI document</a></nav>
</header>
<noscript><p>This page needs JavaScript. The same facts are in \
<a href="{document}">{document}</a>.</p></noscript>
<div id="docs" data-document="{document}"></div>
</body>
</html>
"""


@get(
    "/api/docs",
    media_type=MediaType.HTML,
    response_headers=HEADERS,
    include_in_schema=False,
    sync_to_thread=False,
)
def docs_page(request: Request[Any, Any, Any]) -> str:
    """Show the documentation in the dashboard's theme, with a form to try each request."""
    chosen = request.cookies.get(THEME_COOKIE)
    return PAGE.format(
        theme=chosen if chosen in ("light", "dark") else "system",
        document=OPENAPI_PATH,
        icon=static_url("hudhud.svg"),
        tokens=static_url("tokens.css"),
        style=static_url("docs.css"),
        script=static_url("docs.js"),
        swagger_style=static_url(f"{SWAGGER_UI}/swagger-ui.css"),
        swagger_script=static_url(f"{SWAGGER_UI}/swagger-ui-bundle.js"),
    )


docs_routes: list[ControllerRouterHandler] = [docs_page, static_file]
