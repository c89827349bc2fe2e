"""GET /admin/jobs/{id}: a job and its timeline, as drawer or page."""

from collections.abc import Mapping
from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from hudhud.core.clock import now_ms
from hudhud.core.sentences import say
from hudhud.web.admin.jobs import job_story
from hudhud.web.admin.jobs.job_story import JobStory
from hudhud.web.admin.jobs.labels import (
    WORDS,
    requester_text,
    step_look,
    step_text,
    step_title,
    verification_text,
)
from hudhud.web.admin.login.guard import authenticate_reader
from hudhud.web.admin.ui.render import page
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.http.errors import NoSuchJob
from hudhud.web.http.request import AnyRequest, is_htmx, job_number
from hudhud.web.state import AppState, state_of

# Functions for the template.
STORY_WORDS: Mapping[str, Any] = {
    **WORDS,
    "requester_text": requester_text,
    "step_look": step_look,
    "step_text": step_text,
    "step_title": step_title,
    "verification_text": verification_text,
}


@get("/admin/jobs/{job:str}", include_in_schema=False)
async def job_page(request: AnyRequest, job: FromPath[str]) -> Response[str]:
    """Show a job; a request by the script gets the drawer's content."""
    actor = await authenticate_reader(request)
    number = job_number(job)
    story = await in_render_thread(_read, state_of(request), number)
    if story is None:
        raise NoSuchJob(say("action.no_such_job", job=job))
    template = "partials/job.html" if is_htmx(request) else "job.html"
    shown = {**STORY_WORDS, "story": story, "job": story.job}
    return await in_render_thread(page, request, template, actor=actor, **shown)


def _read(state: AppState, number: int) -> JobStory | None:
    with state.database.read() as connection:
        return job_story.read(connection, number, now=now_ms())
