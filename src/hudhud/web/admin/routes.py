"""The routes under /admin and their error handlers."""

from litestar.types import ControllerRouterHandler, ExceptionHandlersMap

from hudhud.web.admin import error_pages
from hudhud.web.admin.audit.page import audit_page
from hudhud.web.admin.guides import guide_routes
from hudhud.web.admin.jobs.actions import job_routes
from hudhud.web.admin.jobs.job_page import job_page
from hudhud.web.admin.json_api import json_routes
from hudhud.web.admin.keys.page import key_routes
from hudhud.web.admin.login import refusals
from hudhud.web.admin.login.page import login_routes
from hudhud.web.admin.login.second_factor_page import second_factor_routes
from hudhud.web.admin.senders.actions import sender_routes
from hudhud.web.admin.senders.logout_page import confirm_logout
from hudhud.web.admin.status.page import status_routes
from hudhud.web.admin.status.stream import live
from hudhud.web.admin.status.trials import trial_routes
from hudhud.web.admin.theme import choose_theme
from hudhud.web.admin.webhooks.deliveries_page import delivery_routes
from hudhud.web.admin.webhooks.page import webhook_routes

admin_routes: list[ControllerRouterHandler] = [
    *login_routes,
    *second_factor_routes,
    *status_routes,
    *trial_routes,
    job_page,
    *job_routes,
    confirm_logout,
    *sender_routes,
    *key_routes,
    *webhook_routes,
    *delivery_routes,
    audit_page,
    *guide_routes,
    choose_theme,
    *json_routes,
    live,
]
# They replace those of http/errors.py: pages for people, the same responses for scripts.
ADMIN_HANDLERS: ExceptionHandlersMap = {**error_pages.HANDLERS, **refusals.HANDLERS}
