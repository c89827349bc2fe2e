"""Every route under /admin, and what its errors become."""

from litestar.types import ControllerRouterHandler, ExceptionHandlersMap

from hudhud.web.admin import error_pages, refusals
from hudhud.web.admin.actions import action_routes
from hudhud.web.admin.audit_page import audit_page
from hudhud.web.admin.confirm_page import confirm_logout
from hudhud.web.admin.deliveries_page import delivery_routes
from hudhud.web.admin.job_page import job_page
from hudhud.web.admin.json_api import json_routes
from hudhud.web.admin.keys_page import key_routes
from hudhud.web.admin.live import live
from hudhud.web.admin.login import login_routes
from hudhud.web.admin.second_factor import second_factor_routes
from hudhud.web.admin.status_page import status_routes
from hudhud.web.admin.theme import choose_theme
from hudhud.web.admin.webhooks_page import webhook_routes

admin_routes: list[ControllerRouterHandler] = [
    *login_routes,
    *second_factor_routes,
    *status_routes,
    job_page,
    confirm_logout,
    *action_routes,
    *key_routes,
    *webhook_routes,
    *delivery_routes,
    audit_page,
    choose_theme,
    *json_routes,
    live,
]
# Beside those of web/errors.py, which they replace: pages for people, the same answers for scripts.
ADMIN_HANDLERS: ExceptionHandlersMap = {**error_pages.HANDLERS, **refusals.HANDLERS}
