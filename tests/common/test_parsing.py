"""What is refused whole, what is refused alone, and what is said about it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from common.errors import InvalidRequest, MalformedJson
from common.models import (
    BulkItem,
    RecordBulkProgress,
    RecordProgress,
    Request,
    SetLesson,
    StartSession,
)
from common.parsing import parse
from tests.conftest import seek, segment

NAIVE, AWARE = "2026-01-31T09:30:00", "2026-01-31T09:30:00Z"


def read(**members: Any) -> RecordProgress:
    return parse(RecordProgress, json.dumps(members).encode())


def refusal(model: type[Request], body: str | bytes) -> list[dict[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        parse(model, body.encode() if isinstance(body, str) else body)
    errors: Any = refused.value.members["errors"]
    return list(errors)


def without(item: dict[str, Any], member: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != member}


NO_OBJECTS: list[Any] = [None, 5, "x", [], True]
WRONG_MEMBERS: list[tuple[str, dict[str, Any], str]] = [
    ("NaN", {"startSecond": float("nan")}, "/startSecond"),
    ("Infinity", {"endSecond": float("inf")}, "/endSecond"),
    ("-Infinity", {"startSecond": float("-inf")}, "/startSecond"),
    ("a string for a number", {"startSecond": "0"}, "/startSecond"),
    ("a bool for a number", {"endSecond": True}, "/endSecond"),
    ("null for a number", {"endSecond": None}, "/endSecond"),
    ("a list for a number", {"endSecond": [10]}, "/endSecond"),
    ("negative", {"startSecond": -0.001}, "/startSecond"),
    ("after a day", {"endSecond": 86_400.001}, "/endSecond"),
    ("a number that no float can hold", {"endSecond": 10**400}, "/endSecond"),
    ("end before start", {"startSecond": 10, "endSecond": 5}, ""),
    ("end at start", {"startSecond": 10}, ""),
    ("shorter than a millisecond", {"startSecond": 5, "endSecond": 5.0004}, ""),
    ("speed 0", {"speed": 0}, "/speed"),
    ("speed 17", {"speed": 17}, "/speed"),
    ("slower than browsers play", {"speed": 0.0624}, "/speed"),
    ("faster than browsers play", {"speed": 16.0001}, "/speed"),
    ("negative speed", {"speed": -1}, "/speed"),
    ("speed NaN", {"speed": float("nan")}, "/speed"),
    ("speed null", {"speed": None}, "/speed"),
    ("an unknown member", {"weight": 1}, "/weight"),
    ("a member in snake case", {"start_ms": 1}, "/start_ms"),
    ("an id that is no UUID", {"clientEventId": "one"}, "/clientEventId"),
    ("a number for an id", {"clientEventId": 1}, "/clientEventId"),
    ("null for an id", {"clientEventId": None}, "/clientEventId"),
    ("a moment without its offset", {"occurredAt": NAIVE}, "/occurredAt"),
    ("a date", {"occurredAt": "2026-01-31"}, "/occurredAt"),
    ("a timestamp", {"occurredAt": 1_700_000_000}, "/occurredAt"),
    ("a timestamp in quotes", {"occurredAt": "1700000000"}, "/occurredAt"),
    ("a moment that is none", {"occurredAt": "2026-02-30T00:00:00Z"}, "/occurredAt"),
    ("before the year 1 in UTC", {"occurredAt": "0001-01-01T00:00:00+14:00"}, "/occurredAt"),
    ("after the year 9999 in UTC", {"occurredAt": "9999-12-31T23:59:59-14:00"}, "/occurredAt"),
]


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        *(pytest.param(segment(0, 10) | wrong, "/segments/1" + place, id=name) for name, wrong, place in WRONG_MEMBERS),
        pytest.param(without(segment(0, 10), "clientEventId"), "/segments/1/clientEventId", id="without an id"),
        pytest.param(without(segment(0, 10), "startSecond"), "/segments/1/startSecond", id="without a start"),
        pytest.param(without(segment(0, 10), "endSecond"), "/segments/1/endSecond", id="without an end"),
        *(pytest.param(thing, "/segments/1", id=f"not an object: {json.dumps(thing)}") for thing in NO_OBJECTS),
    ],
)
def test_a_segment_that_is_wrong_is_refused_alone(item: Any, pointer: str) -> None:
    before, after = segment(0, 1), segment(1, 2)

    progress = read(segments=[before, item, after])

    assert [str(good.client_event_id) for good in progress.segments] == [
        before["clientEventId"],
        after["clientEventId"],
    ]
    [rejected] = progress.rejected
    assert rejected.pointer == pointer
    assert rejected.detail
    sent = item.get("clientEventId") if isinstance(item, dict) else None
    assert rejected.client_event_id == (sent if isinstance(sent, str) else None)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"fromSecond": float("nan")}, "/fromSecond"),
        ({"toSecond": float("inf")}, "/toSecond"),
        ({"toSecond": "30"}, "/toSecond"),
        ({"toSecond": False}, "/toSecond"),
        ({"fromSecond": -1}, "/fromSecond"),
        ({"toSecond": 86_401}, "/toSecond"),
        ({"allowed": "true"}, "/allowed"),
        ({"allowed": 1}, "/allowed"),
        ({"allowed": None}, "/allowed"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 201}, "/reason"),
        ({"reason": "a\0b"}, "/reason"),
        ({"reason": "a\nb"}, "/reason"),
        ({"reason": "a\x7fb"}, "/reason"),
        ({"reason": 5}, "/reason"),
        ({"clientEventId": "one"}, "/clientEventId"),
        ({"occurredAt": NAIVE}, "/occurredAt"),
        ({"speed": 1}, "/speed"),
    ],
    ids=str,
)
def test_a_seek_that_is_wrong_is_refused_alone(wrong: dict[str, Any], place: str) -> None:
    progress = read(segments=[segment(0, 1)], seeks=[seek(0, 10), seek(10, 30) | wrong])

    assert (len(progress.segments), len(progress.seeks)) == (1, 1)
    assert [rejected.pointer for rejected in progress.rejected] == ["/seeks/1" + place]


def test_a_seek_needs_no_id_and_may_go_backward_or_nowhere() -> None:
    progress = read(seeks=[{"fromSecond": 30, "toSecond": 10}, {"fromSecond": 10, "toSecond": 10}])

    assert [item.client_event_id for item in progress.seeks] == [None, None]
    assert progress.rejected == []


@pytest.mark.parametrize("place", [0, 0.001, 86_399.999, 86_400])
def test_a_place_in_the_video_is_from_0_to_a_day(place: float) -> None:
    assert len(read(seeks=[seek(place, 0), seek(0, place)]).seeks) == 2


@pytest.mark.parametrize("speed", [0.0625, 0.25, 1, 1.0, 1.75, 2, 16])
def test_a_speed_is_what_browsers_allow(speed: float) -> None:
    assert len(read(segments=[segment(0, 10, speed)]).segments) == 1


def test_speed_is_1_when_nothing_is_said() -> None:
    [played] = read(segments=[without(segment(0, 10), "speed")]).segments

    assert (played.speed, played.effective_ms) == (1, 10_000)


@pytest.mark.parametrize("moment", [AWARE, "2026-01-31T09:30:00.123456789+05:30", "2026-01-31t09:30:00-00:00"])
def test_a_moment_is_written_as_rfc_3339_has_it(moment: str) -> None:
    assert len(read(segments=[segment(0, 10, occurredAt=moment)]).segments) == 1


def test_rejected_items_are_listed_in_the_order_they_came_each_once() -> None:
    progress = read(
        segments=[segment(5, 1), segment(0, 1), segment(0, 1, 0, weight=1)],
        seeks=[seek(-1, -2), seek(0, 5)],
    )

    assert [rejected.pointer.split("/")[1:3] for rejected in progress.rejected] == [
        ["segments", "0"],
        ["segments", "2"],
        ["seeks", "0"],
    ]


def test_a_long_id_of_a_rejected_item_is_cut() -> None:
    [rejected] = read(segments=[segment(0, 1), segment(0, 1) | {"clientEventId": "x" * 5_000}]).rejected

    assert rejected.client_event_id == "x" * 128


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("[]", ""),
        ("5", ""),
        ("null", ""),
        ('"x"', ""),
        ("true", ""),
        ('{"segments": [], "points": []}', "/points"),
        ('{"segments": {}}', "/segments"),
        ('{"segments": null}', "/segments"),
        ('{"seeks": 5}', "/seeks"),
        ('{"sessionId": "0198c5e2-0000-7000-8000-000000000000"}', "/sessionId"),
        ('{"a/b~c": 1}', "/a~1b~0c"),
    ],
)
def test_a_body_that_is_wrong_as_a_whole_is_refused_whole(body: str, pointer: str) -> None:
    assert [error["pointer"] for error in refusal(RecordProgress, body)] == [pointer]


def test_an_unknown_member_beside_a_wrong_item_refuses_the_body_whole() -> None:
    errors = refusal(RecordProgress, json.dumps({"segments": [segment(5, 1)], "points": []}))

    assert {error["pointer"] for error in errors} == {"/segments/0", "/points"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"segments": [}',
        b"{} {}",
        b"{'segments': []}",
        b'{"segments": [],}',
        b'{"reason": "\xff"}',
        b'{"\xc3\x28": 1}',
        b'{"reason": "\\ud8"}',
        b'{"reason": "\\ud800}',
        b'{"reason": "a\nb"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"segments": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"[" * 100_000,
        b'{"segments": 0x10}',
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_a_body_that_is_not_json_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse(RecordProgress, body)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (r"cut \ud83d", "cut \N{REPLACEMENT CHARACTER}"),
        (r"\ude00\uD83D", "\N{REPLACEMENT CHARACTER}" * 2),
        (r"\ud83d\ude00 and \uD83D\uDE00", "\N{GRINNING FACE} and \N{GRINNING FACE}"),
        (r"\ud83d\ud83d\ude00", "\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}"),
        (r"\\ud83d \ud83d", "\\ud83d \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_half_a_character_is_replaced_and_blocks_no_buffer(sent: str, kept: str) -> None:
    jump = f'{{"clientEventId": "{uuid4()}", "fromSecond": 1, "toSecond": 9, "reason": "{sent}"}}'

    body = parse(RecordProgress, f'{{"segments": [{json.dumps(segment(0, 1))}], "seeks": [{jump}]}}'.encode())

    assert [seek.reason for seek in body.seeks] == [kept]
    assert (len(body.segments), body.rejected) == (1, [])


def test_of_members_with_the_same_name_the_last_counts() -> None:
    good, bad = json.dumps([segment(0, 1)]), json.dumps([segment(1, 0), segment(0, 1)])

    first_bad = parse(RecordProgress, f'{{"segments": {bad}, "segments": {good}}}'.encode())
    last_bad = parse(RecordProgress, f'{{"segments": {good}, "segments": {bad}}}'.encode())

    assert (len(first_bad.segments), len(first_bad.rejected)) == (1, 0)
    assert (len(last_bad.segments), len(last_bad.rejected)) == (1, 1)


def test_500_items_are_taken_and_501_are_refused_whole() -> None:
    segments, seeks = [segment(n, n + 1) for n in range(251)], [seek(n, 0) for n in range(250)]

    assert len(read(segments=segments[:250], seeks=seeks).segments) == 250
    assert refusal(RecordProgress, json.dumps({"segments": segments, "seeks": seeks}))
    assert refusal(RecordProgress, json.dumps({"segments": (segments * 2)[:501]}))
    assert refusal(RecordProgress, json.dumps({"seeks": (seeks * 3)[:501]}))


def test_items_that_are_wrong_count_toward_the_500() -> None:
    segments, seeks = [segment(n + 1, n) for n in range(251)], [seek(n, 0) for n in range(250)]

    [error] = refusal(RecordProgress, json.dumps({"segments": segments, "seeks": seeks}))

    assert "500" in error["detail"]


def test_500_items_that_are_all_wrong_are_500_rejected_items() -> None:
    assert len(read(segments=[segment(1, 0)] * 500).rejected) == 500


def test_a_bulk_is_read_item_by_item() -> None:
    items: list[Any] = [None, 5, {"sessionId": "x"}, {"sessionId": str(uuid4())}]

    assert len(parse(RecordBulkProgress, json.dumps({"items": items}).encode()).items) == 4


@pytest.mark.parametrize("count", [0, 51])
def test_a_bulk_has_1_to_50_items(count: int) -> None:
    [error] = refusal(RecordBulkProgress, json.dumps({"items": [{}] * count}))

    assert error["pointer"] == "/items"


def test_a_wrong_item_of_a_bulks_session_is_refused_alone_and_told_where_it_is_in_the_session() -> None:
    item = {"sessionId": str(uuid4()), "segments": [segment(0, 1), segment(1, 0)], "close": True}

    read_item = parse(BulkItem, json.dumps(item).encode())

    assert len(read_item.segments) == 1 and read_item.close
    assert [rejected.pointer for rejected in read_item.rejected] == ["/segments/1"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"userId": ""}, "/userId"),
        ({"userId": "x" * 129}, "/userId"),
        ({"userId": 7}, "/userId"),
        ({"lessonId": "a\0"}, "/lessonId"),
        ({"lessonId": "x" * 129}, "/lessonId"),
        ({"lessonId": None}, "/lessonId"),
        ({"isAssigned": "true"}, "/isAssigned"),
        ({"isAssigned": 1}, "/isAssigned"),
        ({"startedAt": NAIVE}, "/startedAt"),
        ({"startedAt": "0001-01-01T00:00:00+14:00"}, "/startedAt"),
        ({"clientInfo": []}, "/clientInfo"),
        ({"clientInfo": {"agent": "a\0b"}}, "/clientInfo"),
        ({"clientInfo": {"a\0b": 1}}, "/clientInfo"),
        ({"clientInfo": {"deep": [{"in": float("nan")}]}}, "/clientInfo"),
        ({"clientInfo": {"size": float("-inf")}}, "/clientInfo"),
        ({"attemptNo": 1}, "/attemptNo"),
    ],
    ids=str,
)
def test_a_start_that_is_wrong_says_where(wrong: dict[str, Any], pointer: str) -> None:
    body = {"userId": "ann", "lessonId": "tides"} | wrong

    [error] = refusal(StartSession, json.dumps(body))

    assert error["pointer"] == pointer and error["detail"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"durationSecond": 0}, "/durationSecond"),
        ({"durationSecond": 86_400.001}, "/durationSecond"),
        ({"durationSecond": "100"}, "/durationSecond"),
        ({"seekPolicy": "strict"}, "/seekPolicy"),
        ({"seekPolicy": None}, "/seekPolicy"),
        ({"skipThresholdSecond": -1}, "/skipThresholdSecond"),
        ({"completionThreshold": 1.01}, "/completionThreshold"),
        ({"completionThreshold": -0.1}, "/completionThreshold"),
        ({"completionThreshold": float("nan")}, "/completionThreshold"),
        ({"creditWindowDays": -1}, "/creditWindowDays"),
        ({"creditWindowDays": 3_661}, "/creditWindowDays"),
        ({"creditWindowDays": 1.5}, "/creditWindowDays"),
        ({"creditWindowDays": True}, "/creditWindowDays"),
        ({"maxCreditRatio": 2}, "/maxCreditRatio"),
        ({"maxCreditRatio": None}, "/maxCreditRatio"),
        ({"integrityPolicy": "drop"}, "/integrityPolicy"),
        ({"lessonId": "other"}, "/lessonId"),
    ],
    ids=str,
)
def test_a_policy_that_is_wrong_says_where(wrong: dict[str, Any], pointer: str) -> None:
    assert [error["pointer"] for error in refusal(SetLesson, json.dumps(wrong))] == [pointer]
