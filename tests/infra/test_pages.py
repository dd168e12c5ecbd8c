import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jwt
import pytest
from werkzeug.test import Client, TestResponse

from infra import demo, issuer, local, pages
from infra.serve import application
from tests.conftest import deployed

VIDEO = pages.PLAYER / "media" / "twelve-seconds.mp4"
PAGES = ("/watch/", "/evidence/", "/engagement/")


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The local server's application without a server, which gives tokens as one with an issuer of its own does."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    issuer.key.cache_clear()
    with deployed(JWKS_URL=local.jwks_url()):
        yield Client(application)
    issuer.key.cache_clear()


def part(browser: Client, asked: str, **headers: str) -> TestResponse:
    return browser.get("/media/twelve-seconds.mp4", headers={"Range": asked} | headers)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_and_all_that_it_names_are_served_with_their_types(browser: Client, path: str) -> None:
    page = browser.get(path)
    assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:href|src)="((?!#)[^"]+[^/"])"', page.text)
    assert len(named) >= 4
    for name in named:
        answer = browser.get(f"{path}{name}" if "../" not in name else name.removeprefix(".."))
        assert answer.status_code == 200, name
        assert (
            answer.mimetype
            == {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[name[-3:].strip(".")]
        )


@pytest.mark.parametrize("path", [*PAGES, "/shared/style.css", "/src/index.js", "/media/twelve-seconds.mp4"])
def test_nothing_but_the_pages_own_files_may_run_in_them(browser: Client, path: str) -> None:
    headers = browser.get(path).headers
    policy = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_brings_its_policy_along_wherever_it_is_served(browser: Client, path: str) -> None:
    page = browser.get(path).text
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=", page)


def test_a_page_without_its_slash_is_the_same_with_it(browser: Client) -> None:
    answer = browser.get("/watch?lesson=a%20b&user=ada")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/watch/?lesson=a%20b&user=ada")


@pytest.mark.parametrize(
    "path",
    [
        "/media/make-video.sh",
        "/media/../media/twelve-seconds.mp4",
        "/watch/../../../README.md",
        "/watch/..%2f..%2f..%2fREADME.md",
        "/watch/%2e%2e/%2e%2e/pages/watch/page.js",
        "/src/../package.json",
        "/package.json",
        "/watch/index.html",
        "/media/",
        "/media//twelve-seconds.mp4",
        "/media/twelve-seconds.mp4/",
        "/media/twelve-seconds.mp4%00",
    ],
)
def test_what_is_not_meant_to_be_served_is_not_there(browser: Client, path: str) -> None:
    answer = browser.get("/", environ_overrides={"RAW_URI": path, "PATH_INFO": unquote(path)})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_file_that_is_known_already_is_not_sent_again(browser: Client) -> None:
    first = browser.get("/shared/style.css")
    again = browser.get("/shared/style.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.headers["Cache-Control"], again.status_code, again.data) == ("no-cache", 304, b"")
    assert browser.get("/shared/style.css", headers={"If-None-Match": '"another"'}).data == first.data


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=1000-1999", 1000, 1999), ("bytes=5000-", 5000, None), ("bytes=-100", -100, None)],
)
def test_a_part_of_a_video_is_that_part(browser: Client, asked: str, first: int, last: int | None) -> None:
    whole = VIDEO.read_bytes()
    answer = part(browser, asked)
    due = whole[first : None if last is None else last + 1]
    start = first % len(whole)
    assert (answer.status_code, answer.data) == (206, due)
    assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(due) - 1}/{len(whole)}"
    assert (answer.headers["Accept-Ranges"], answer.mimetype) == ("bytes", "video/mp4")


def test_a_video_is_sent_in_parts_of_a_bounded_length_and_they_make_the_whole(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LONGEST_PART", 10_000)
    whole, sent = VIDEO.read_bytes(), b""
    while len(sent) < len(whole):
        answer = part(browser, f"bytes={len(sent)}-")
        assert 0 < len(answer.data) <= 10_000
        sent += answer.data
    assert sent == whole


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=0-0,5-9", "bytes=9-5", "bytes=x", "seconds=0-5"])
def test_a_range_that_cannot_be_is_refused_or_as_none(browser: Client, asked: str) -> None:
    size = VIDEO.stat().st_size
    answer = part(browser, asked)
    if asked == "bytes=99999999-":
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    else:
        assert (answer.status_code, len(answer.data)) == (200, size)


def test_a_part_of_another_version_is_answered_by_the_whole_of_this_one(browser: Client) -> None:
    etag = part(browser, "bytes=0-9").headers["ETag"]
    assert part(browser, "bytes=0-9", If_Range=etag).status_code == 206
    changed = part(browser, "bytes=0-9", If_Range='"before"')
    assert (changed.status_code, len(changed.data)) == (200, VIDEO.stat().st_size)


@pytest.mark.parametrize(
    ("seconds", "name"), [(12, "twelve-seconds"), (60, "one-minute"), (600, "ten-minutes"), (None, "ten-minutes")]
)
def test_a_lesson_has_a_video_of_its_length(
    browser: Client, new_lesson: Callable[..., str], seconds: float | None, name: str
) -> None:
    lesson_id = new_lesson(durationSecond=seconds)
    answer = browser.get(f"/dev/video/{lesson_id}")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"/media/{name}.mp4")
    for unknown in ("nobody%20knows", "%00", "%ff", "x" * 200):
        assert browser.get(f"/dev/video/{unknown}").headers["Location"] == "/media/ten-minutes.mp4"


def ask(browser: Client, wish: Any, **more: Any) -> TestResponse:
    headers = {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"} | more
    return browser.post("/dev/token", json=wish, headers=headers)


@pytest.mark.parametrize("role", ["player", "manager"])
def test_a_page_gets_a_token_for_whom_it_names(browser: Client, role: str) -> None:
    answer = ask(browser, {"user": "ana", "role": role})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    claims = jwt.decode(answer.get_json()["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["role"], claims["iss"]) == ("ana", role, local.address())


@pytest.mark.parametrize(
    ("wish", "headers", "status"),
    [
        ({"user": "ana", "role": "service"}, {}, 422),
        ({"user": "ana", "role": "scheduler"}, {}, 422),
        ({"user": "", "role": "player"}, {}, 422),
        ({"role": "player"}, {}, 422),
        ({"user": "ana", "role": "player"}, {"Origin": "https://elsewhere.test"}, 403),
        ({"user": "ana", "role": "player"}, {"Origin": "null"}, 403),
        ({"user": "ana", "role": "player"}, {"Origin": "http://127.0.0.1:3000"}, 403),
        ({"user": "ana", "role": "player"}, {"Host": "rebound.test", "Origin": "http://rebound.test"}, 403),
        ({"user": "ana", "role": "player"}, {"Content-Type": "text/plain"}, 403),
    ],
)
def test_a_token_is_not_for_everybody(browser: Client, wish: Any, headers: dict[str, str], status: int) -> None:
    answer = ask(browser, wish, **headers)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert "token" not in answer.get_json()


def test_tokens_are_asked_for_by_post_only(browser: Client) -> None:
    answer = browser.get("/dev/token")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_there_are_no_tokens_for_the_asking_where_another_issuer_is_believed(browser: Client) -> None:
    with deployed(JWKS_URL="https://issuer.test/keys"):
        assert ask(browser, {"user": "ana", "role": "player"}).status_code == 403


def test_the_sample_lesson_is_offered_once_and_left_as_it_is(service: Any) -> None:
    pages.offer_sample()
    path = f"/video/lessons/{pages.SAMPLE_LESSON}"
    assert service.get(path)["durationSecond"] == 600
    service.put(path, {"durationSecond": 300})
    pages.offer_sample()
    assert service.get(path)["durationSecond"] == 300


def test_the_demo_ends_with_the_address_of_the_watch_page(browser: Client, capsys: pytest.CaptureFixture[str]) -> None:
    demo.invite("ada-1", "lifting-safely-1", Path("server.log"))
    told = capsys.readouterr().out.split()
    assert told[-1] == f"{local.address()}/watch/?lesson=lifting-safely-1&user=you"
    for address in told[-4:]:
        if address.startswith(local.address()):
            assert browser.get(address.removeprefix(local.address())).status_code == 200
