"""A viewer's journey, told while it happens: each step a request over HTTP, each answer in a line.

Whatever is not answered as it should be ends the story with `Unexpected`, so it is a check as well.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener
from uuid import uuid4

from common import db
from common.auth import Role
from infra import issuer, local

LESSON_S = 60
THRESHOLD = 0.8
MARKS = {"watched": "▄", "watched again": "█", "skipped": "╱", "not watched": "·"}
COLOURS = {"watched": "32", "watched again": "1;32", "skipped": "33", "not watched": "2"}
TIMEOUT_S = 30
WIDTH = 80

SENDER = build_opener(ProxyHandler({}))  # nobody else's proxy has a way to this machine

Json = dict[str, Any]


class Unexpected(Exception):
    """The service did not answer as it should."""


@dataclass(frozen=True)
class Person:
    """Somebody with a token of the local server."""

    user_id: str
    role: Role = Role.PLAYER

    def send(self, due: int, method: str, path: str, body: object = None, **headers: str) -> Json:
        """What the service answers.

        Raises:
            Unexpected: with another status than was due.
        """
        headers |= {"Authorization": f"Bearer {issuer.sign(self.user_id, self.role)}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(
            local.address() + path, json.dumps(body).encode() if body is not None else None, method=method
        )
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with SENDER.open(request, timeout=TIMEOUT_S) as response:
                status, content = response.status, response.read()
        except HTTPError as refusal:
            status, content = refusal.code, refusal.read()
        answer: Json = json.loads(content)
        if status != due:
            raise Unexpected(f"{method} {path} was answered {status} where {due} was due: {answer}")
        return answer


def segment(start: float, end: float, speed: float = 1) -> Json:
    return {"clientEventId": str(uuid4()), "startSecond": start, "endSecond": end, "speed": speed}


class Story:
    """What was told so far: how many steps, which stretches were seen, what was refused and why."""

    def __init__(self) -> None:
        self.steps = 0
        self.seen: list[tuple[float, float]] = []
        self.refused: list[str] = []

    def tell(self, scene: str, *statuses: int, answer: str) -> None:
        self.steps += 1
        codes = ", ".join(painted(str(status), "33" if status >= 400 else "32") for status in statuses)
        print(f"  {painted(f'{self.steps:2}', '1')}  {scene}\n      {codes}  {answer}", flush=True)

    def see(self, *segments: Json) -> None:
        self.seen += [(segment["startSecond"], segment["endSecond"]) for segment in segments]

    def refuse(self, what: str, why: str) -> None:
        self.refused.append(f"{what}: {why}")


def play() -> tuple[str, str]:
    """Play the journey and print what was recorded; gives the user and the lesson.

    Raises:
        Unexpected: the service did not answer as it should.
    """
    story, run = Story(), uuid4().hex[:6]
    lesson_id = f"lifting-safely-{run}"
    ada, bob, employer = Person(f"ada-{run}"), Person(f"bob-{run}"), Person("employer", Role.SERVICE)
    policy = {"durationSecond": LESSON_S, "completionThreshold": THRESHOLD, "integrityPolicy": "exclude"}
    employer.send(200, "PUT", f"/video/lessons/{lesson_id}", policy)
    print(
        f"\n  {painted('Ada watches “Lifting safely”', '1')}: one minute, of which {percent(THRESHOLD)} must be seen.\n"
    )
    started = open_lesson(story, ada, lesson_id)
    session, attempt = f"/video/sessions/{started['sessionId']}", f"/video/attempts/{started['attemptId']}"
    watch_and_skip(story, ada, session)
    lose_the_network(story, ada, session)
    ask_too_early(story, ada, attempt)
    leave_and_be_late(story, ada, session)
    fall_asleep(story, ada, come_back(story, ada, employer, lesson_id), lesson_id)
    finish(story, ada, attempt)
    pry_and_cheat(story, bob, session, lesson_id)
    look_closely(story, Person("manager", Role.MANAGER), ada, lesson_id)
    report(story, ada, session, lesson_id)
    return ada.user_id, lesson_id


def open_lesson(story: Story, ada: Person, lesson_id: str) -> Json:
    body, key = {"userId": ada.user_id, "lessonId": lesson_id}, str(uuid4())
    ada.send(201, "POST", "/video/sessions", body, Idempotency_Key=key)
    started = ada.send(200, "POST", "/video/sessions", body, Idempotency_Key=key)
    story.tell(
        "Ada presses play. The answer is lost on its way, so her player asks again.",
        201,
        200,
        answer=f"One session, not two. It is attempt {started['attemptNo']}, from the start.",
    )
    return started


def watch_and_skip(story: Story, ada: Person, session: str) -> None:
    watched = segment(0, 10), segment(10, 24, speed=2)
    told = ada.send(200, "POST", f"{session}/progress", {"segments": watched})
    story.see(*watched)
    story.tell(
        "She watches 0:00–0:10, and 0:10–0:24 at double speed.",
        200,
        answer=f"{told['coverageSecond']:g} s seen in {told['effectiveSecond']:g} s of her time, without a gap up to "
        f"{clock(told['maxVerifiedSecond'])}.",
    )
    jump, after = {"fromSecond": 24, "toSecond": 40}, segment(40, 44)
    told = ada.send(200, "POST", f"{session}/progress", {"seeks": [jump], "segments": [after]})
    [skip] = ada.send(200, "GET", f"{session}/skip-analytics")["skips"]
    story.see(after)
    story.tell(
        "She jumps ahead to 0:40 and watches on to 0:44.",
        200,
        answer=f"A skip of {skip['skippedSecond']:g} unseen seconds; still without a gap up to "
        f"{clock(told['maxVerifiedSecond'])} only.",
    )


def lose_the_network(story: Story, ada: Person, session: str) -> None:
    good, broken = segment(44, 50, speed=2), segment(50, 50)
    kept = {"items": [{"sessionId": session.rpartition("/")[2], "segments": [good, broken]}]}
    [told] = ada.send(200, "POST", "/video/progress/bulk", kept)["results"]
    [rejected] = told["rejected"]
    story.see(good)
    story.tell(
        "The network breaks. Her player keeps 0:44–0:50 and sends it when it can.",
        200,
        answer=f"{told['accepted']} segment stored; another, from nowhere to nowhere, refused alone.",
    )
    story.refuse("A segment from 0:50 to 0:50", rejected["detail"])
    [told] = ada.send(200, "POST", "/video/progress/bulk", kept)["results"]
    story.tell(
        "It never hears of that, and sends the same again.",
        200,
        answer=f"{told['accepted']} stored, {told['duplicates']} known already. Nothing counts twice.",
    )


def ask_too_early(story: Story, ada: Person, attempt: str) -> None:
    told = ada.send(409, "PUT", f"{attempt}/complete")
    missing = ", ".join(span(*part) for part in told["missingRanges"])
    story.tell(
        "Ada says that she is done.",
        409,
        answer=f"Not yet: {percent(told['coverageRatio'])} seen of {percent(THRESHOLD)}. Missing: {missing}.",
    )
    story.refuse("Being done too early", told["detail"])


def leave_and_be_late(story: Story, ada: Person, session: str) -> None:
    told = ada.send(200, "PUT", f"{session}/close")
    story.tell(
        "She closes the page.",
        200,
        answer=f"Closed, with {told['coverageSecond']:g} s seen in {told['effectiveSecond']:g} s.",
    )
    stuck = segment(50, 57, speed=2)
    told = ada.send(200, "POST", f"{session}/progress", {"segments": [stuck]})
    story.see(stuck)
    story.tell(
        "One more batch, 0:50–0:57 at double speed, got stuck and comes only now.",
        200,
        answer=f"Late, and counted: {told['coverageSecond']:g} s seen. The session stays {told['status']}.",
    )


def come_back(story: Story, ada: Person, employer: Person, lesson_id: str) -> str:
    told = employer.send(200, "PUT", f"/video/users/{ada.user_id}/lessons/{lesson_id}/assignment")
    story.tell(
        "Her employer assigns her the lesson.",
        200,
        answer=f"What she saw before counts: {told['creditedSecond']:g} s are credited.",
    )
    told = ada.send(201, "POST", "/video/sessions", {"userId": ada.user_id, "lessonId": lesson_id})
    story.tell(
        "Ada comes back.",
        201,
        answer=f"Still attempt {told['attemptNo']}, {percent(told['coverageRatio'])} seen; she left at "
        f"{clock(told['resumeSecond'])}.",
    )
    session, watched = f"/video/sessions/{told['sessionId']}", (segment(0, 5), segment(24, 34))
    told = ada.send(200, "POST", f"{session}/progress", {"segments": watched})
    story.see(*watched)
    story.tell(
        "She watches the beginning once more, and 0:24–0:34 of what she skipped.",
        200,
        answer=f"{told['coverageSecond']:g} s seen in {told['effectiveSecond']:g} s: the first 5 took time, "
        "but are nothing new.",
    )
    return session


def fall_asleep(story: Story, ada: Person, session: str, lesson_id: str) -> None:
    let_six_minutes_pass(session.rpartition("/")[2], ada.user_id)
    Person("scheduler", Role.SCHEDULER).send(200, "POST", "/jobs/sweep-stale-sessions")
    latest, *_ = ada.send(200, "GET", f"/video/users/{ada.user_id}/lessons/{lesson_id}/progress")["sessions"]
    story.tell(
        "Her laptop sleeps for six minutes (here, a moment). The sweep comes by.",
        200,
        answer=f"The session is {latest['status']}: it ended with its last sign of life.",
    )
    told = ada.send(200, "PUT", f"{session}/heartbeat")
    ada.send(200, "PUT", f"{session}/close")
    story.tell(
        "The laptop wakes up, and Ada closes the page.",
        200,
        200,
        answer=f"The session was {told['status']} again, and is closed now.",
    )


def let_six_minutes_pass(session_id: str, user_id: str) -> None:
    """Move the session's clock in the database: who would want to wait?"""
    statement = (Path(__file__).parent / "sql" / "silence_session").with_suffix(".sql").read_text(encoding="utf-8")
    with local.database() as url, closing(db.direct(url, 2_000)) as connection:
        connection.run(statement, session_id=session_id, user_id=user_id)


def finish(story: Story, ada: Person, attempt: str) -> None:
    told = ada.send(200, "PUT", f"{attempt}/complete")
    answer = f"{told['status'].capitalize()}, with {percent(told['coverageRatio'])} seen."
    story.tell("Ada says that she is done.", 200, answer=answer)


def pry_and_cheat(story: Story, bob: Person, session: str, lesson_id: str) -> None:
    told = bob.send(404, "GET", f"{session}/skip-analytics")
    story.tell("Bob wants to see what Ada skipped.", 404, answer=f"{told['title']}.")
    story.refuse("Ada's session, to Bob", told["title"])
    started = bob.send(201, "POST", "/video/sessions", {"userId": bob.user_id, "lessonId": lesson_id})
    whole = {"segments": [segment(0, LESSON_S)]}
    bob.send(200, "POST", f"/video/sessions/{started['sessionId']}/progress", whole)
    claim = bob.send(200, "GET", f"/video/users/{bob.user_id}/lessons/{lesson_id}/progress")["aggregates"]
    told = bob.send(409, "PUT", f"/video/attempts/{started['attemptId']}/complete")
    story.tell(
        "Bob's browser claims the whole minute, a moment after he opened it.",
        200,
        409,
        answer=f"Recorded; {claim['exceedsWallClockSecond']:.0f} s more than the clock allows, so not counted.",
    )
    story.refuse("Being done, to Bob", f"{claim['integrity']}. {told['detail']}")


def look_closely(story: Story, manager: Person, ada: Person, lesson_id: str) -> None:
    evidence = manager.send(200, "GET", f"/video/users/{ada.user_id}/lessons/{lesson_id}/evidence")
    engagement = manager.send(200, "GET", f"/video/lessons/{lesson_id}/engagement?buckets=6")
    [attempt] = evidence["attempts"]
    [again], [skipped] = attempt["rewatched"], attempt["skipped"]
    least = min(engagement["buckets"], key=lambda bucket: float(bucket["watched"]))
    part = span(least["startSecond"], least["endSecond"])
    story.tell(
        "Their manager looks at Ada's evidence, and at how everybody watched.",
        200,
        200,
        answer=f"Twice: {span(*again)}. Skipped: {span(*skipped)}. Seen least: {part}.",
    )


def report(story: Story, ada: Person, session: str, lesson_id: str) -> None:
    """Print what the service has recorded of Ada.

    Raises:
        Unexpected: it is not what she watched.
    """
    recorded = ada.send(200, "GET", f"/video/users/{ada.user_id}/lessons/{lesson_id}/progress")
    skips = ada.send(200, "GET", f"{session}/skip-analytics")["skips"]
    total, attempt = recorded["aggregates"], recorded["attempt"]
    seconds = states(story.seen, total["watchedRanges"], [(skip["fromSecond"], skip["toSecond"]) for skip in skips])
    print(f"\n  {painted('What was recorded of Ada', '1')}\n")
    print("  " + "".join(f"{clock(second):10}" for second in range(0, LESSON_S + 1, 10)).rstrip())
    print("  " + "".join(painted(MARKS[state], COLOURS[state]) for state in seconds))
    print("  " + "   ".join(f"{painted(mark, COLOURS[state])} {state}" for state, mark in MARKS.items()) + "\n")
    fact("Seen", f"{total['coverageSecond']:g} s of {LESSON_S} s, {percent(total['coverageRatio'])}")
    fact("Time spent", f"{total['effectiveSecond']:g} s: less for double speed, more for what was seen twice")
    fact("Verified", f"up to {clock(total['maxVerifiedSecond'])}, without a gap from the start")
    fact("Resume at", clock(total["resumeSecond"]))
    fact("Attempt", f"{attempt['attemptNo']}, {attempt['status']}, of {len(recorded['sessions'])} sessions")
    fact("Integrity", total["integrity"])
    for skip in skips:
        fact(
            "Skipped",
            f"{span(skip['fromSecond'], skip['toSecond'])}, {skip['skippedSecond']:g} s unseen then and "
            f"{skip['stillUnwatchedSecond']:g} s to this day: {skip['reason']}",
        )
    for place, refused in enumerate(story.refused):
        fact("" if place else "Refused", refused)


def states(
    seen: Iterable[tuple[float, float]], watched: Iterable[Sequence[float]], jumps: Iterable[tuple[float, float]]
) -> list[str]:
    """What each second of the lesson is: a key of MARKS.

    Raises:
        Unexpected: what was recorded is not what was seen.
    """
    times = [sum(start <= second < end for start, end in seen) for second in range(LESSON_S)]
    recorded = {second for start, end in watched for second in range(round(start), round(end))}
    if recorded != {second for second, count in enumerate(times) if count}:
        raise Unexpected(f"watched ranges {watched} were recorded of {seen}")
    skipped = {second for start, end in jumps for second in range(round(start), round(end))}
    return [
        "watched again" if count > 1 else "watched" if count else "skipped" if second in skipped else "not watched"
        for second, count in enumerate(times)
    ]


def fact(name: str, text: str) -> None:
    first, *others = wrap(text, WIDTH - 14)
    print(f"  {painted(f'{name:<11}', '2')} {first}")
    for line in others:
        print(" " * 14 + line)


def painted(text: str, colour: str) -> str:
    """Text in a colour (of ECMA-48's SGR) where colours are shown."""
    return f"\x1b[{colour}m{text}\x1b[0m" if local.may_use_colours() else text


def clock(second: float) -> str:
    """
    >>> clock(83.5)
    '1:23'
    """
    return f"{int(second) // 60}:{int(second) % 60:02}"


def span(start: float, end: float) -> str:
    return f"{clock(start)}–{clock(end)}"


def percent(ratio: float) -> str:
    return f"{ratio * 100:.0f} %"
