"""What each word of the API means, and how a request looks: for `infra.openapi`.

A word has one meaning, or else stands here with its model: `Model.word`.
"""

from typing import Any

DAY = "between 0 and 86,400"

WORDS = {
    # who and what
    "userId": "Whose record it is: the `sub` of that user's token, 1 to 128 characters.",
    "lessonId": "The platform's own name of a lesson, 1 to 128 characters.",
    "sessionId": "One opening of the player, inside an attempt.",
    "attemptId": "One user's try at one lesson.",
    "attemptNo": "Which try it is, counted from 1 per user and lesson.",
    "Idempotency-Key": "Any text of the client's, 1 to 255 characters: the same key again gives the same session.",
    "If-None-Match": "The `ETag` of an earlier answer; 304 when nothing has changed since.",
    "message": "What happened, in words for a log.",
    "clientInfo": "What the client says about itself; kept as it is. No NUL characters.",
    "attempt": "The user's latest attempt at the lesson.",
    "aggregates": "The attempt's totals.",
    "sessions": "The attempt's sessions, the newest first, at most 100.",
    "status": "In which state it is.",
    "sessionStatus": "In which state the session is after this item.",
    "isAssigned": "Whether it was assigned to the user; in a request it counts from a trusted caller only.",
    "creditedAttemptId": "The assigned attempt that the session is credited to, null if it is to none.",
    "creditedSessions": "The sessions that are credited to the attempt.",
    # moments
    "startedAt": "When it was started; in a request what the client's clock said, kept and never judged by.",
    "closedAt": "When it ended, null while it is open.",
    "assignedAt": "When it was assigned, if not now: the credit's window ends there.",
    "completedAt": "When it was completed, null while it is active.",
    "lastHeartbeatAt": "Its last sign of life, by the server's clock.",
    "occurredAt": "When it happened by the client's clock; without it the server's moment is taken.",
    # progress
    "segments": "Stretches of the video that were really played. With the seeks at most 500.",
    "seeks": "Jumps of the playhead. With the segments at most 500.",
    "clientEventId": "The event's identity within its session: sent again, it is counted once. A seek without one gets "
    "one made of the request's content.",
    "startSecond": f"Where in the video it begins, in seconds, {DAY}.",
    "endSecond": f"Where in the video it ends, itself not included, in seconds, {DAY} and after `startSecond`.",
    "speed": "How fast it was played, between 0.0625 and 16; 1 is the video's own pace.",
    "fromSecond": f"Where in the video the jump began, in seconds, {DAY}.",
    "toSecond": f"Where in the video the jump ended, in seconds, {DAY}.",
    "allowed": "Whether the jump was allowed: what the client said, unless the lesson's policy says no.",
    "reason": "Why it was not allowed: the client's, `beyond_verified` or `policy_violation`.",
    "late": "Whether the session had been closed before.",
    "accepted": "How many of the sent events were new.",
    "duplicates": "How many of the sent events were recorded before, with the same content.",
    "conflicts": "The events that were recorded before with other content; those stay as they were.",
    "rejected": "The items that were refused, each alone; the others were recorded.",
    "pointer": "Where in the request it is: a JSON Pointer (RFC 6901).",
    "detail": "What is wrong with it, in words for a developer.",
    "items": "One for each session; in a history one for each session of the page.",
    "close": "Whether to close the session after its progress was recorded.",
    "results": "One for each item, in the same order.",
    # totals
    "coverageSecond": "How much of the lesson was seen, each second once, in seconds.",
    "effectiveSecond": "How much time the person spent: length over speed, replays again, in seconds.",
    "coverageRatio": "Coverage over the lesson's duration, 0 to 1, rounded down; 1 when nothing but the last second is "
    "missing; null while the duration is unknown.",
    "maxVerifiedSecond": "Where the unbroken coverage from the beginning ends, in seconds; gaps up to 1 s are bridged.",
    "resumeSecond": "Where the latest segment ended, in seconds, to continue from; null before the first.",
    "watchedRanges": "What was seen: ranges `[start, end]` in seconds, in order, the ends not included.",
    "missingRanges": "What is left to see: ranges `[start, end]` in seconds; null while the duration is unknown.",
    "integrity": "Whether more was claimed to be watched than time has passed on the server's clock, plus 30 s.",
    "exceedsWallClockSecond": "By how much the claim exceeds what is plausible, in seconds.",
    "completionRatio": "The ratio that completing is judged by: coverage without what `integrityPolicy` excludes.",
    "creditedSecond": "How much of the attempt's coverage is credit, in seconds.",
    # skips
    "seekCount": "How many jumps there were.",
    "skipCount": "How many jumps went over more unwatched video than the lesson's `skipThresholdSecond`.",
    "disallowedCount": "How many jumps were not allowed.",
    "skippedSecond": "How much unwatched video was jumped over, as it was judged when it arrived, in seconds.",
    "stillUnwatchedSecond": "How much of what was jumped over is unwatched to this day, in seconds.",
    "skips": "The jumps that count as skips, in the order they occurred, at most 1,000.",
    # policy
    "durationSecond": "How long the video is, in seconds, up to 86,400; null while it is not known.",
    "seekPolicy": "What jumping over unwatched video is in an assigned lesson: `free`, `flag` (recorded as not "
    "allowed) or `block` (the player prevents it as well).",
    "skipThresholdSecond": f"From how much unwatched video on a jump is a skip, in seconds, {DAY}.",
    "completionThreshold": "Which ratio completing needs, 0 to 1; null if none.",
    "creditWindowDays": "How long before an assignment a session may have started to be credited to it, in days.",
    "maxCreditRatio": "How much of the lesson can be credited at most, 0 to 1.",
    "integrityPolicy": "Whether sessions that claim too much still count for completing: `flag` yes, `exclude` no.",
    # evidence
    "policy": "The lesson's, as it is now.",
    "Evidence.isAssigned": "Whether the latest attempt is an assigned one.",
    "attempts": "The user's attempts at the lesson, the newest first, at most 20.",
    "truncated": "Whether there are more attempts or sessions than are told.",
    "EvidentAttempt.sessions": "Those opened in it and those credited to it, the newest first, of the latest 100.",
    "coverage": "What was seen: ranges `[start, end]` in seconds, in order, the ends not included.",
    "EvidentAttempt.rewatched": "What was seen twice or more, in one session or in several: ranges in seconds.",
    "EvidentSession.rewatched": "What was seen twice or more in it: ranges `[start, end]` in seconds.",
    "EvidentAttempt.skipped": "What skips went over and is unwatched to this day: ranges `[start, end]` in seconds.",
    "missing": "What it lacks to be completed, judged without what `integrityPolicy` excludes.",
    "thresholdRatio": "The lesson's `completionThreshold`: which ratio completing needs; null if none.",
    "shortSecond": "How much more has to be watched to complete it, in seconds; 0 when nothing, or when it is "
    "completed; null while that cannot be told because the duration is unknown.",
    "unwatched": "What is left to see for it: ranges `[start, end]` in seconds; null while the duration is unknown.",
    "isArchived": "Whether its raw record is in the archive only.",
    "endedAt": "When it ended, null while it is open.",
    "wallClockSecond": "How long it was open by the server's clock, up to its end or its last sign of life.",
    "counts": "Whether it counts in this attempt.",
    "whyNot": "Why it does not count: `unassigned` (nor credited, so it is in no total of this assigned attempt), or "
    "`integrity` (in the totals, but the lesson's `integrityPolicy` excludes it from what completing is judged by).",
    "EvidentSession.skips": "Its jumps that were skips or not allowed, in the order they occurred, the first 100; null "
    "when it is archived.",
    "isSkip": "Whether it went over more unwatched video than the lesson's `skipThresholdSecond`.",
    "receivedAt": "When it was recorded, by the server's clock.",
    # engagement
    "buckets": "Into how many parts the lesson is cut at most.",
    "learners": "How many people watched any of the lesson.",
    "completed": "How many of them completed it.",
    "averageCoverageRatio": "The mean of their coverage over the lesson's duration, 0 to 1, rounded down; null while "
    "the duration is unknown or nobody watched.",
    "bucketSecond": "How long a part is, in seconds; the last may be shorter. Null when there is none.",
    "EngagementSummarized.buckets": "The lesson in at most so many parts, in order; while its duration is unknown, up "
    "to where anybody got. None if nobody watched.",
    "watched": "How many learners watched it, on average over its length.",
    "rewatched": "How many learners watched it twice or more, on average over its length.",
    "skipped": "How many learners skipped it and did not watch it to this day, on average over its length.",
    # jobs
    "stale": "How many sessions fell silent and were ended.",
    "postponed": "How many could not be had this time; the next run will try again.",
    "moreToDo": "Whether something is left for the next run.",
    "month": "A month of sessions, `2026-03`.",
    "months": "The months that are in the archive only, as `2026-03`.",
    "monthsMade": "The months that got their partitions, as `2026-03`.",
    "monthsAhead": "How many of the next three months had partitions before.",
    "lateBy": "By how many months the upkeep was late; 0 is in time.",
    "rowsInDefault": "How many raw rows had found no partition of their month.",
    "rowsMoved": "How many of those were moved to it.",
    "bytes": "How large the files are that were written.",
    "waiting": "The months that are due and had to be left, with the reason.",
    "MonthsArchived.segments": "How many segments were written and compared.",
    "MonthsArchived.seeks": "How many seeks were written and compared.",
    "MonthWaiting.reason": "Why: `open_sessions` that may still be watched, `late_data` that came meanwhile, "
    "`totals_differ` from the raw rows, `not_read_back` from the store, `partly_archived` sessions, tables `in_use`.",
    # pages
    "limit": "How many sessions a page has at most.",
    "cursor": "The `nextCursor` of the page before.",
    "nextCursor": "Where the next page begins, null on the last page.",
}

STRING = {"type": "string"}
PLACE = {"description": WORDS["pointer"], **STRING}
WRONG = {"description": WORDS["detail"], **STRING}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "properties": {
        "type": {"description": "Which problem it is; this never changes.", **STRING},
        "title": {"description": "The problem in words, the same each time.", **STRING},
        "status": {"description": "The HTTP status.", "type": "integer"},
        "detail": {"description": "What is to be said about this time.", **STRING},
        "traceId": {
            "description": "The request's, for those who read its logs.",
            "pattern": "^[0-9a-f]{32}$",
            **STRING,
        },
    },
    "required": ["type", "title", "status"],
}
PROBLEM_MEMBERS: dict[str, Any] = {
    "InvalidRequest": {
        "errors": {
            "type": "array",
            "description": "Each place that is wrong: a pointer into the body, or a parameter's name.",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "pointer": PLACE,
                    "parameter": {"description": "The parameter of the path or the query, or the header.", **STRING},
                    "clientEventId": {"description": "What the item was called.", "type": ["string", "null"]},
                    "detail": WRONG,
                },
                "required": ["detail"],
            },
        }
    },
    "AttemptBelowThreshold": {
        "coverageRatio": {"description": WORDS["coverageRatio"], "type": ["number", "null"]},
        "completionThreshold": {"description": WORDS["completionThreshold"], "type": "number"},
        "missingRanges": {
            "description": WORDS["missingRanges"],
            "type": ["array", "null"],
            "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        },
    },
}

SESSION = "0198f3a2-7c1e-7d4b-9a60-3f5b8e2c1d47"
EVENTS = [f"0198f3a2-8d20-7a11-8b5e-{n:012d}" for n in range(1, 5)]
SEGMENTS = [
    {"clientEventId": EVENTS[0], "startSecond": 0, "endSecond": 12.5, "speed": 1},
    {
        "clientEventId": EVENTS[1],
        "startSecond": 12.5,
        "endSecond": 40,
        "speed": 2,
        "occurredAt": "2026-03-02T09:15:27Z",
    },
]
SEEKS = [{"clientEventId": EVENTS[2], "fromSecond": 40, "toSecond": 95.25}]

EXAMPLES: dict[str, Any] = {
    "StartSession": {
        "userId": "u-1017",
        "lessonId": "fire-safety-1",
        "clientInfo": {"player": "web 4.2", "screen": "1280x720"},
        "startedAt": "2026-03-02T09:15:00Z",
    },
    "RecordProgress": {"segments": SEGMENTS, "seeks": SEEKS},
    "RecordBulkProgress": {"items": [{"sessionId": SESSION, "segments": SEGMENTS, "seeks": SEEKS, "close": True}]},
    "SetLesson": {
        "durationSecond": 600,
        "seekPolicy": "block",
        "skipThresholdSecond": 5,
        "completionThreshold": 0.9,
        "creditWindowDays": 365,
        "maxCreditRatio": 1,
        "integrityPolicy": "flag",
    },
    "AssignLesson": {"assignedAt": "2026-03-01T00:00:00Z"},
}
