"""The three pages in a real browser: what they show, who can use them, and what they weigh."""

import gzip
from collections.abc import Callable

import pytest

from infra import pages
from tests.browser.chromium import Page
from tests.browser.learner import WITNESS, Learner

AT_MOST_BYTES = 60_000
DESKTOP, PHONE = (1280, 900), (360, 740)
NAMES = ("watch", "evidence", "engagement")
SHOWN = {
    "watch": "document.querySelector('.record')?.textContent === 'Recorded' && witness.video.readyState >= 3",
    "evidence": "document.querySelector('main h1') && document.querySelector('.strip-bar')",
    "engagement": "document.querySelector('main h1') && document.querySelector('main svg')",
}

NewLearner = Callable[..., Learner]


@pytest.fixture
def student(new_learner: NewLearner) -> Learner:
    """Somebody who has watched a part, a part of it again, and skipped another; the lesson needs most of it."""
    learner = new_learner(60, completionThreshold=0.9)
    started = learner.post("/video/sessions", {"userId": learner.user_id, "lessonId": learner.lesson_id})
    stretches = [(0, 6), (4, 8), (30, 42)]
    segments = [{"clientEventId": new_id(n), "startSecond": a, "endSecond": b} for n, (a, b) in enumerate(stretches)]
    body = {"segments": segments, "seeks": [{"fromSecond": 8, "toSecond": 30}]}
    learner.post(f"/video/sessions/{started['sessionId']}/progress", body)
    return learner


def new_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def visit(learner: Learner, name: str) -> Page:
    """One of the pages, about this learner and lesson, until it shows what there is."""
    learner.page.go(learner.url.replace("/watch/", f"/{name}/"))
    learner.page.wait(f"!!({SHOWN[name]})")
    return learner.page


def look(page: Page, size: tuple[int, int], theme: str) -> None:
    width, height = size
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])


def text(page: Page, selector: str) -> str:
    found: str = page.evaluate(f"document.querySelector({selector!r})?.textContent ?? ''")
    return found.replace("\N{NO-BREAK SPACE}", " ")


def press(page: Page, key: str, code: int) -> None:
    told = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
    page.call("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": key} if key == " " else {}))
    page.call("Input.dispatchKeyEvent", type="keyUp", **told)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_can_use_it_in_light_and_dark_and_on_a_phone(student: Learner, axe: str, name: str) -> None:
    page = visit(student, name)
    page.evaluate(f"{axe}; undefined")
    for size in (DESKTOP, PHONE):
        for theme in ("light", "dark"):
            look(page, size, theme)
            found = page.evaluate(
                "axe.run().then(({ violations, passes }) => ({ passed: passes.length, violations: violations"
                "  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`) }))"
            )
            assert found["violations"] == [], (size, theme)
            assert found["passed"] > 15
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {size}"
    assert page.complaints == []
    assert page.evaluate("witness.refused") == []


@pytest.mark.parametrize("name", NAMES)
def test_it_weighs_little(student: Learner, name: str) -> None:
    page = visit(student, name)
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).concat(location.pathname)"
    )
    files = {path: file for path, file in pages.files() if path in loaded and file.suffix != ".mp4"}
    weight = sum(len(gzip.compress(file.read_bytes())) for file in files.values())
    assert f"/{name}/" in files and len(files) > 8
    assert weight <= AT_MOST_BYTES, weight


def test_a_newcomer_watches_ten_seconds_and_sees_them_on_the_evidence_page_at_once(new_learner: NewLearner) -> None:
    learner = new_learner(600, completionThreshold=0.9)
    learner.watch(10)
    learner.settle()

    page = visit(learner, "evidence")

    assert "00:00–00:10" in page.evaluate("document.querySelector('.strip-bar').getAttribute('aria-label')")


def test_the_evidence_page_follows_what_is_being_watched(new_learner: NewLearner) -> None:
    learner = new_learner(600)
    learner.watch(1)
    learner.settle()
    evidence = learner.browser.open(learner.url.replace("/watch/", "/evidence/"), learner.browser.context(), WITNESS)
    evidence.wait(f"!!({SHOWN['evidence']})")
    label = "document.querySelector('.strip-bar').getAttribute('aria-label')"
    assert "00:00–00:01" in evidence.evaluate(label)
    learner.watch(2)
    evidence.wait(f"{label}.includes('00:00–00:02')")
    learner.browser.forget(evidence.context or "")


def test_it_offers_to_continue_where_one_stopped_and_that_is_no_skip(learner: Learner) -> None:
    learner.do("seek(6)")
    learner.watch(7.5)
    learner.settle()
    before = learner.seeks()
    learner.open()
    assert text(learner.page, ".over p") == "You stopped at 00:08."

    learner.page.evaluate("document.querySelector('.over .primary').click()")
    learner.do("passes(9)")
    learner.do("pause()")

    assert learner.page.evaluate("document.querySelector('.over').hidden")
    learner.check()
    assert learner.seeks() == before != []


def test_a_jump_to_another_place_than_where_one_stopped_is_recorded_as_before(learner: Learner) -> None:
    learner.watch(1.5)
    learner.settle()
    learner.open()
    learner.do("seek(8)")
    learner.watch(9)

    learner.check()
    [(origin, goal)] = learner.seeks()
    assert abs(goal - 8) < 0.05 and origin < 0.05


def test_the_learners_own_bar_has_what_the_record_has(student: Learner) -> None:
    page = visit(student, "watch")
    told = page.evaluate("document.querySelector('.strip-bar').getAttribute('aria-label')")
    assert told.startswith("What you have watched. 01:00 long.")
    for stretch in ("00:00–00:04", "00:30–00:42", "00:04–00:06", "00:08–00:30", "00:42–01:00"):
        assert stretch in told
    assert text(page, ".side dd") == "33.3%"
    assert text(page, ".side .quiet") == "90% are needed to finish the lesson: another 34 s to watch."

    page.evaluate("document.querySelector('.actions button:last-child').click()")  # Go to 00:08, not watched yet
    student.do("passes(10)")
    student.do("pause()")
    told = page.evaluate("document.querySelector('.strip-bar').getAttribute('aria-label')")
    assert "00:06–00:10" in told and "00:10–00:30" in told


def test_a_lesson_is_finished_when_enough_was_watched_and_not_before(new_learner: NewLearner) -> None:
    learner = new_learner(12, completionThreshold=0.25)
    click = "document.querySelector('.actions button').click()"
    learner.watch(1.5)
    learner.page.evaluate(click)
    learner.page.wait("!!document.querySelector('.notice')")
    assert text(learner.page, ".notice").startswith("Not finished yet: 1")
    assert text(learner.page, ".notice").endswith("% of the lesson are recorded as watched, and 25% are needed.")
    assert learner.progress()["attempt"]["status"] == "active"

    learner.watch(4)
    learner.page.evaluate(click)
    learner.page.wait("document.querySelector('.side .quiet').textContent.startsWith('The lesson is finished')")
    assert learner.progress()["attempt"]["status"] == "completed"


def test_it_is_used_with_the_keyboard_alone(learner: Learner) -> None:
    page = learner.page
    page.call("Emulation.setFocusEmulationEnabled", enabled=True)
    places: list[str] = []
    while "Finish the lesson" not in places and len(places) < 20:
        press(page, "Tab", 9)
        places.append(page.evaluate("(document.activeElement.textContent || document.activeElement.localName).trim()"))
        if places[-1] == "video" and "video" not in places[:-1]:
            press(page, " ", 32)
            learner.do("passes(1)")
            press(page, " ", 32)
            page.wait("witness.played.length")  # the event has come, a little after it has paused
    assert places[:3] == ["Skip to the lesson", "Evidence", "video"]
    assert "Finish the lesson" in places
    learner.check()


def test_a_speed_is_chosen_and_recorded(learner: Learner) -> None:
    choose = "choice.value = '2'; choice.dispatchEvent(new Event('change'))"
    learner.page.evaluate(f"(choice => {{ {choose} }})(document.querySelector('#speed'))")
    assert learner.do("video.playbackRate") == 2
    learner.do("play()")
    learner.do("passes(3)")
    learner.do("pause()")

    assert learner.check()["effectiveSecond"] < 2


def test_without_a_lesson_it_asks_for_one(learner: Learner) -> None:
    learner.page.go(f"{learner.origin}/watch/")
    learner.page.wait("!!document.querySelector('#lesson')")
    assert text(learner.page, "h1") == "Which lesson?"


def test_who_is_not_signed_in_is_told_so(learner: Learner) -> None:
    learner.way.refuse = lambda request: 401 if request.path == "/dev/token" else None
    learner.page.go(learner.url)
    learner.page.wait("document.querySelector('h1')?.textContent === 'You are not signed in'")


def test_what_cannot_be_read_of_the_past_keeps_nobody_from_watching(learner: Learner) -> None:
    learner.way.refuse = lambda request: 503 if request.path.endswith("/evidence") else None
    learner.page.go(learner.url)
    learner.page.wait(
        "document.querySelector('.notice')?.textContent.startsWith('What you watched before cannot be shown')"
    )
    learner.watch(1)
    learner.check()
