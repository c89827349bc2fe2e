"""The event stream reconnects by itself after an interruption."""

from playwright.sync_api import expect

from support.browser import OpenProfile, expect_delivery, is_marked, mark
from support.services import Service, ask_for_code

CUT = r"ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)"


def test_page_reports_a_server_restart_and_recovers_by_itself(
    fresh_sandbox: Service, open_profile: OpenProfile
) -> None:
    profile, without_workers = open_profile(fresh_sandbox.url), open_profile(fresh_sandbox.url)
    without_workers.context.add_init_script("delete window.SharedWorker")
    pages = [profile.open_live(), profile.open_live(), without_workers.open_live()]
    before = ask_for_code(fresh_sandbox.url, "+201006660001")["jobId"]
    for page in pages:
        mark(page)
        expect_delivery(page, before, "delivered")
    assert fresh_sandbox.stop() == 0
    for page in pages:
        expect(page.locator("#live")).to_contain_text("Reconnecting, as of")
    fresh_sandbox.start()
    meanwhile = ask_for_code(fresh_sandbox.url, "+201006660002")["jobId"]
    for page in pages:
        expect(page.locator("#live")).to_contain_text("Live")
        expect_delivery(page, meanwhile, "delivered")
        assert is_marked(page)
    pages[0].get_by_role("button", name="Pause sending").click()
    for page in pages:
        expect(page.locator(".state")).to_have_text("Paused")
    for opened in (profile, without_workers):
        opened.expect_complaints(CUT)


def test_admins_input_and_open_menus_survive_updates(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    ask_for_code(sandbox.url, "+201006660003")  # a fresh installation has no list to search
    page = open_profile(sandbox.url).open_live()
    search = page.get_by_role("searchbox", name="Search")
    search.fill("half a nu")
    page.locator(".menu summary").click()
    search.focus()
    job = ask_for_code(sandbox.url, "+201006660004")["jobId"]
    expect_delivery(page, job, "delivered")
    expect(search).to_have_value("half a nu")
    expect(search).to_be_focused()
    expect(page.locator(".menu")).to_have_attribute("open", "")
