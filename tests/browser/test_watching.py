"""What is watched in a real browser is what the database holds, whatever the learner does."""

import os
import threading
from collections.abc import Callable

import pytest
from flask import Request

from tests.browser.chromium import eventually
from tests.browser.learner import PRECISE_S, Learner

NewLearner = Callable[..., Learner]
KILLS = "BROWSER_KILLS"


def refuses(status: int, *paths: str) -> Callable[[Request], int | None]:
    """Answer what goes to these paths, or to the service at all, with a status."""
    return lambda request: status if request.path.startswith(paths or ("/video/",)) else None


def test_the_place_of_the_playhead_is_the_second_that_is_written_in_the_picture(learner: Learner) -> None:
    for place in (0.5, 3.3, 7.01, 11.9):
        learner.do(f"seek({place})")
        frame = learner.do("frameInPicture()")
        assert frame / 25 <= place < (frame + 1) / 25 + 0.001


# Playing.


def test_a_lesson_that_is_played_through_is_recorded_to_its_last_second(learner: Learner) -> None:
    learner.do("speed(4)")
    learner.do("play()")
    learner.do("passes(99)")

    assert learner.check()["coverageRatio"] == 1
    learner.saw()


@pytest.mark.parametrize("speed", [1, 2, 16])
def test_a_stretch_ends_where_it_ended_at_every_speed(new_learner: NewLearner, speed: float) -> None:
    learner = new_learner(600)
    learner.do("seek(30)")
    learner.watch(30 + 3 * speed, speed)

    learner.check()
    learner.saw()


def test_a_change_of_speed_in_the_middle_changes_the_time_and_not_the_place(learner: Learner) -> None:
    learner.do("play()")
    for place, speed in ((1, 2), (2.5, 0.5), (2.8, 4), (6, 1)):
        learner.do(f"passes({place})")
        learner.do(f"speed({speed})")
    learner.do("passes(6.5)")
    learner.do("pause()")

    learner.check()


def test_what_was_made_ready_at_the_speed_of_before_is_watched_as_well(new_learner: NewLearner) -> None:
    learner = new_learner(600)
    learner.do("speed(16)")
    learner.do("play()")
    learner.do("passes(20)")
    learner.do("speed(1)")  # the browser goes on for some tenths of a second as if nothing had been said
    learner.page.evaluate("new Promise((done) => setTimeout(done, 700))")
    learner.do("pause()")

    learner.check()


def test_what_is_watched_again_takes_time_and_is_nothing_new(learner: Learner) -> None:
    learner.watch(1.5)
    learner.do("seek(0.5)")
    learner.watch(2)

    progress = learner.check()

    assert progress["coverageSecond"] < 2.1
    assert progress["effectiveSecond"] > 2.9


# Moving the playhead.


def test_what_was_jumped_over_is_not_watched_and_the_jump_has_its_true_origin(learner: Learner) -> None:
    learner.do("play()")
    learner.do("passes(1)")
    learner.do("seek(8)")
    learner.do("passes(8.7)")
    learner.do("seek(5)")
    learner.do("passes(5.7)")
    learner.do("pause()")

    learner.check()
    learner.saw()
    [(first, *_), (second, *_), (third, *_)] = learner.do("told()")
    ends = [end for _, end, _ in learner.do("told()")]
    assert first == 0 and abs(second - 8) < PRECISE_S and abs(third - 5) < PRECISE_S
    for (origin, goal), due in zip(learner.seeks(), [(ends[0], 8), (ends[1], 5)], strict=True):
        assert abs(origin - due[0]) <= PRECISE_S and abs(goal - due[1]) <= PRECISE_S


def test_a_jump_at_16_times_the_speed_counts_nothing_that_was_jumped_over(new_learner: NewLearner) -> None:
    learner = new_learner(600)
    learner.do("speed(16)")
    learner.do("play()")
    learner.do("passes(40)")
    learner.do("seek(300)")
    learner.do("passes(340)")
    learner.do("pause()")

    learner.check()


def test_dragging_the_playhead_is_one_jump(learner: Learner) -> None:
    begin = learner.watch(1)
    learner.do("scrub(3, 5, 7, 9, 8, 6)")
    learner.watch(7)

    learner.check()
    [(origin, goal)] = learner.seeks()
    assert abs(origin - begin) <= PRECISE_S and abs(goal - 6) <= PRECISE_S


def test_a_lesson_that_is_watched_in_order_leads_back_and_says_so(new_learner: NewLearner) -> None:
    learner = new_learner(12, seekPolicy="block")
    rests = learner.watch(1.5)
    learner.settle()

    learner.do("seek(9)")
    learner.page.wait("!witness.video.seeking")

    assert abs(learner.do("video.currentTime") - rests) <= PRECISE_S
    assert "You are back at 00:0" in learner.page.evaluate("document.querySelector('.notice').textContent")
    learner.watch(3)
    learner.do("seek(0.5)")
    learner.watch(1)
    learner.check()
    assert all(goal <= rests + PRECISE_S for _, goal in learner.seeks())


# What comes in between.


def test_time_in_which_the_video_has_to_wait_is_not_watched(new_learner: NewLearner) -> None:
    learner = new_learner(60, way={"video_until": 90_000, "video_flows": threading.Event()})
    learner.do("speed(4)")
    learner.do("play()")
    learner.page.wait("witness.video.readyState < 3")
    stalled = learner.do("video.currentTime")
    learner.page.evaluate("new Promise((done) => setTimeout(done, 2000))")
    assert learner.do("video.currentTime") == stalled
    learner.way.video_flows.set()
    learner.do(f"passes({stalled + 3})")
    learner.do("pause()")

    learner.check()


def test_a_hidden_page_that_is_heard_goes_on_and_is_recorded(new_learner: NewLearner) -> None:
    learner = new_learner(600)
    learner.do("play()")
    learner.do("passes(1)")
    learner.browser.open("about:blank", learner.context)
    learner.page.wait("document.visibilityState === 'hidden'")
    learner.do("passes(4)")
    learner.page.to_front()
    learner.page.wait("document.visibilityState === 'visible'")
    learner.do("passes(4.5)")
    learner.do("pause()")

    assert learner.check()["coverageSecond"] >= 4.5


def test_a_hidden_page_that_is_muted_counts_only_what_was_played(new_learner: NewLearner) -> None:
    learner = new_learner(600)
    learner.do("video.muted = true")
    learner.do("play()")
    learner.do("passes(1)")
    learner.browser.open("about:blank", learner.context)
    learner.page.wait("document.visibilityState === 'hidden'")
    learner.page.evaluate("new Promise((done) => setTimeout(done, 1500))")
    learner.page.to_front()
    learner.do("play()")
    learner.do("passes(2)")
    learner.do("pause()")

    learner.check()


def test_a_frozen_page_counts_only_what_was_played(new_learner: NewLearner) -> None:
    learner = new_learner(600)
    learner.do("play()")
    learner.do("passes(1.5)")
    learner.page.call("Page.setWebLifecycleState", state="frozen")
    other = learner.browser.open("about:blank", learner.context)
    other.evaluate("new Promise((done) => setTimeout(done, 1500))")
    other.close()
    learner.page.call("Page.setWebLifecycleState", state="active")
    learner.page.to_front()
    learner.do("play()")  # the browser had paused it
    learner.do("passes(2)")
    learner.do("pause()")

    learner.check()


def test_a_clock_that_somebody_sets_changes_nothing(learner: Learner) -> None:
    learner.do("play()")
    for place, hours in ((1, 3), (2, -50)):
        learner.do(f"passes({place})")
        learner.page.evaluate(f"Date.now = ((now) => () => now() + {hours} * 3_600_000)(Date.now)")
    learner.do("passes(3)")
    learner.do("pause()")

    learner.check()


# Leaving.


def test_a_page_that_is_loaded_again_loses_nothing(learner: Learner) -> None:
    learner.do("play()")
    learner.do("passes(2.5)")
    learner.page.reload()
    learner.page.wait("witness.video?.readyState >= 3")

    learner.check()


def test_a_tab_that_is_closed_while_it_plays_loses_nothing_and_its_session_is_closed(learner: Learner) -> None:
    learner.do("play()")
    learner.do("passes(2.5)")
    learner.page.close()
    learner.open()

    learner.check()
    statuses = [session["status"] for session in learner.progress()["sessions"]]
    assert sorted(statuses) == ["closed", "open"]


def test_a_tab_that_is_closed_tells_it_at_once_without_another_page(learner: Learner) -> None:
    learner.watch(2)
    learner.settle()
    learner.do("play()")
    learner.do("passes(3.5)")
    told = learner.do("told()")
    learner.page.evaluate("witness.video.pause()")
    told = learner.do("told()")
    learner.page.close()

    learner.eventually_compare(told)
    assert eventually(lambda: learner.progress()["sessions"][0]["status"] == "closed", 5)


@pytest.mark.parametrize("time", range(int(os.environ.get(KILLS, 4))))
def test_a_browser_that_is_killed_once_it_has_stored_something_has_it_when_it_is_opened_again(
    time: int, own_learner: Learner
) -> None:
    learner = own_learner
    learner.open()
    learner.settle()
    learner.way.refuse = refuses(503)
    learner.do("play()")
    learner.do(f"passes({0.5 + time % 10 / 4})")
    told = learner.page.evaluate(
        "(async () => { const stored = witness.storedSomething(); await witness.pause(); await stored; "
        "return witness.told() })()"
    )
    learner.browser.kill()
    assert learner.progress()["aggregates"]["coverageSecond"] == 0

    learner.way.refuse = lambda request: None
    with type(learner.browser).running(learner.browser.profile) as learner.browser:
        learner.open()
        learner.settle()
        learner.eventually_compare(told)


# What goes wrong on the way.


def test_what_is_watched_without_a_network_is_sent_when_it_is_back(learner: Learner) -> None:
    learner.settle()
    learner.page.be_offline(True)
    learner.watch(1.5)
    learner.do("seek(6)")
    learner.watch(7.5)
    said = learner.page.wait("document.querySelector('.record[data-state=kept]')?.textContent")
    assert said == "No connection. 3 parts kept here and sent later"
    assert learner.progress()["aggregates"]["coverageSecond"] == 0

    learner.page.be_offline(False)
    learner.check()


def test_a_lesson_can_be_begun_while_the_service_is_down(new_learner: NewLearner) -> None:
    learner = new_learner(way={"refuse": refuses(503)})
    learner.watch(1.5)
    learner.page.wait("document.querySelector('.record[data-state=kept]')?.textContent")

    learner.way.refuse = lambda request: None
    learner.check()


def test_a_token_that_is_refused_is_replaced_and_nothing_is_dropped(learner: Learner) -> None:
    learner.watch(1)
    learner.settle()
    old: set[str | None] = set()

    def refuse_old(request: Request) -> int | None:
        if not request.path.startswith("/video/"):
            return None
        bearer = request.headers.get("Authorization")
        if not learner.way.count("POST", "/dev/token") > given:
            old.add(bearer)
        return 401 if bearer in old else None

    given = learner.way.count("POST", "/dev/token")
    learner.way.refuse = refuse_old
    learner.watch(3)

    learner.check()
    assert old
    assert learner.way.count("POST", "/dev/token") == given + 1


def test_a_service_that_is_overloaded_for_a_while_gets_everything_afterwards(learner: Learner) -> None:
    learner.watch(1)
    learner.settle()
    learner.way.refuse = refuses(503)
    learner.watch(3)
    learner.do("seek(5)")
    learner.watch(6)
    learner.page.wait("document.querySelector('.record[data-state=kept]')?.textContent")
    refused = len(learner.way.to_the_service())

    learner.way.refuse = lambda request: None
    learner.check()
    assert refused < 12


def test_an_answer_that_gets_lost_makes_nothing_count_twice(learner: Learner) -> None:
    """The service has stored it, and the page hears of a failure."""
    learner.settle()
    lost = iter([True, True])
    learner.way.lose = lambda request: request.path.endswith(("/progress", "/bulk")) and next(lost, False)
    learner.watch(1.5)
    learner.watch(3)

    learner.check()
    assert next(lost, "none is left") == "none is left"


# Several at once, and nowhere to keep it.


def test_two_tabs_of_one_lesson_are_two_sessions_and_nothing_counts_twice(learner: Learner) -> None:
    first = learner.page
    learner.watch(1)
    learner.open()
    learner.do("seek(0.5)")
    learner.watch(2)
    learner.settle()
    first.to_front()
    learner.page, second = first, learner.page
    learner.watch(2.5)
    learner.settle()

    learner.compare([*learner.do("told()"), *second.evaluate("witness.played")])
    assert len(learner.progress()["sessions"]) == 2


def test_two_videos_on_one_page_do_not_mix(learner: Learner, new_lesson: Callable[..., str]) -> None:
    other = Learner.__new__(Learner)
    other.__dict__.update(learner.__dict__, lesson_id=new_lesson(durationSecond=12))
    learner.do("play()")
    learner.page.evaluate(
        "(async () => {"
        "  const { trackLesson } = await import('/src/index.js');"
        "  const video = Object.assign(document.createElement('video'), { src: '/media/twelve-seconds.mp4' });"
        "  document.body.append(video);"
        "  const bearer = await fetch('/dev/token', { method: 'POST', headers: { 'Content-Type': 'application/json' },"
        f"   body: JSON.stringify({{ user: '{learner.user_id}', role: 'player' }}) }}).then((a) => a.json());"
        f" window.second = trackLesson(video, {{ token: () => bearer.token, userId: '{learner.user_id}',"
        f"   lessonId: '{other.lesson_id}' }});"
        "  video.currentTime = 5; await new Promise((done) => video.onseeked = done); await video.play();"
        "})()"
    )
    learner.do("passes(2)")
    ended = learner.page.evaluate(
        "(async (video) => { const paused = new Promise((done) => video.onpause = done); video.pause(); await paused;"
        " return video.currentTime })([...document.querySelectorAll('video')].at(-1))"
    )
    learner.page.evaluate("second.close()")
    learner.do("pause()")

    learner.check()
    other.compare([(5, ended, 1)])


def test_without_room_on_the_disk_the_page_says_so_and_records_from_memory(own_learner: Learner) -> None:
    learner = own_learner
    learner.page = learner.browser.open()
    learner.page.call("Storage.overrideQuotaForOrigin", origin=learner.origin, quotaSize=1)
    learner.open()
    learner.way.refuse = refuses(503)
    learner.watch(1.5)
    said = learner.page.wait("document.querySelector('.record[data-state=kept]')?.textContent")
    assert said == "1 part not recorded yet. Keep this page open"

    learner.way.refuse = lambda request: None
    learner.check()


def test_without_indexeddb_it_is_recorded_all_the_same(new_learner: NewLearner) -> None:
    learner = new_learner(
        script="Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('', 'SecurityError') } });"
    )
    learner.watch(1.5)
    learner.do("seek(4)")
    learner.watch(5)

    learner.check()
