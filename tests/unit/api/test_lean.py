"""Lean routes beside FastAPI's own: a request gets the same answer, byte for byte, and leaves the same behind."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from tests.unit.api.test_rest import ADMIN_TOKEN, ROOM_URL, Api, open_api

from usher.domain.transcript import Segment
from usher.ports import HeardSegment, Meeting
from usher.protocol.credentials import BotIdentity

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
BOT = "/internal/bots/{connection_id}"
URL = f'{{"meeting_url": "{ROOM_URL}/other"'
BY_USER = {"X-API-Key": "key"}
BY_ADMIN = {"X-Admin-API-Key": ADMIN_TOKEN}
BY_BOT = {"Authorization": "Bearer {token}"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Case:
    """A request; `{meeting_id}`, `{connection_id}` and `{token}` stand for those of the meeting that there is."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    content: str | bytes | tuple[bytes, ...] = b""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict(self.headers)} {self.content[:60]!r}"

    async def ask(self, api: Api, meeting: Meeting) -> httpx.Response:
        token = api.world.credentials.token(BotIdentity(meeting.meeting_id, meeting.connection_id))
        names = {"meeting_id": meeting.meeting_id, "connection_id": meeting.connection_id, "token": token}
        headers = {name: value.format(**names) for name, value in self.headers.items()}
        content = pieces(*self.content) if isinstance(self.content, tuple) else self.content
        url = f"http://usher.test{self.path.format(**names)}"
        return await api.http.send(httpx.Request(self.method, url, headers=headers, content=content))


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


def post(path: str, headers: dict[str, str], content: str | bytes | tuple[bytes, ...]) -> Case:
    return Case("POST", path, JSON | headers, content)


GOOD = [
    post(f"{BOT}/heartbeat", BY_BOT, "{}"),
    post(f"{BOT}/heartbeat", BY_BOT, '{"executed_seq": "3", "sent": [{"segment_id": "a", "revision": 1}], "new": NaN}'),
    post(f"{BOT}/started", BY_BOT, '{"seq": 1, "seq": 2.0}'),
    post(f"{BOT}/status", BY_BOT, '{"seq": true, "status": "joining"}'),
    post(f"{BOT}/exited", BY_BOT, '{"seq": 2, "exit_code": 0, "reason": "stopped", "detail": "\\ud83d\\ude00"}'),
    post(f"{BOT}/exited", BY_BOT, '{"seq": 2, "exit_code": 1, "reason": "of another version"}'),
    Case("GET", f"{BOT}/commands", BY_BOT),
    Case("GET", f"{BOT}/commands?after=0&after=1", BY_BOT),
    post("/bots", BY_USER, URL + "}"),
    post("/bots", BY_USER | {"Idempotency-Key": "k"}, URL + ', "language": "en"}'),
    post("/bots", BY_USER, URL + ', "bot_name": "Zoë \\u0000", "join_at": "2026-01-01 12:00:00.5+02:00"}'),
    post("/bots", BY_USER, URL + ', "join_at": 1767300000}'),
    Case("GET", "/bots/status", BY_USER),
    Case("PUT", "/bots/room/weekly-sync/config", JSON | BY_USER, '{"language": null}'),
    Case("DELETE", "/bots/room/weekly-sync", BY_USER),
    Case("GET", "/meetings", BY_USER),
    Case("GET", "/meetings?limit=1&before_id=99", BY_USER),
    Case("GET", "/meetings/{meeting_id}", BY_USER),
    Case("GET", "/meetings/%20{meeting_id}", BY_USER, "a body that nobody reads"),
    Case("GET", "/meetings/{meeting_id}/events", BY_USER),
    Case("GET", "/transcripts/room/weekly-sync", BY_USER),
    *(Case("GET", f"/transcripts/by-id/{{meeting_id}}{query}", BY_USER) for query in ("", "?format=srt")),
    Case("GET", "/transcripts/room/weekly-sync", BY_USER | {"Accept": "text/vtt;q=0.9, application/json;q=0.1"}),
    Case("PATCH", "/meetings/{meeting_id}", JSON | BY_USER, '{"data": {"name": "x", "languages": ["en"]}}'),
    Case("GET", "/transcripts/room/weekly-sync?meeting_id={meeting_id}", BY_USER),
    Case("GET", "/user/webhook", BY_USER),
    Case("PUT", "/user/webhook", JSON | BY_USER, '{"webhook_url": null}'),
    Case("GET", "/admin/users", BY_ADMIN),
    Case("GET", "/admin/users/1", BY_ADMIN),
    post("/admin/users", BY_ADMIN, '{"email": "Bo@example.com", "unknown": 1}'),
    Case("DELETE", "/admin/tokens/2", BY_ADMIN),
    Case("GET", "/health"),
]

ODD_BODIES: list[str | bytes | tuple[bytes, ...]] = [
    *("", "{}", "[]", "null", "1", '"text"', "{", "{'seq': 1}", '{"seq": 1,}', '{"seq": 1} x', "\x00", "nonsense"),
    *('{"seq": 0}', '{"seq": 1.5}', '{"seq": "one"}', '{"seq": "one", "seq": 1}', '{"seq": 1, "seq": "one"}'),
    *('{"seq": NaN}', '{"seq": 1e999}', '{"seq": 1, "x": -NaN}', '{"seq": 1, "x": 01}', '{"seq": 1, "x": "a\nb"}'),
    *('{"seq": 1, "x": "\\ud800"}', '{"seq": 1, "x": "\\q"}', '{"seq": %s}' % ("9" * 5000), '{"seq": %s}' % ("9" * 40)),
    *(b'{"seq": 1, "x": "\xff"}', b'{"seq": 1, "x": "\xed\xa0\x80"}', b'\xef\xbb\xbf{"seq": 1}', b"\xff\xfe{"),
    *('{"seq": 1}'.encode("utf-16"), '{"seq": 1}'.encode("utf-32-le")),
    *('{"seq": 1, "x": ' + "[" * depth + "]" * depth + "}" for depth in (150, 250, 100_000)),
    (b'{"seq"', b": 1}"),
    (b'{"seq": 1}', b""),
    (b"x" * 200_000, b"x" * 200_000),
]

WRONG_FIELDS = [
    post(f"{BOT}/status", BY_BOT, '{"seq": 1, "status": "dancing"}'),
    post(f"{BOT}/heartbeat", BY_BOT, '{"executed_seq": -1, "sent": [{"segment_id": "", "revision": "x"}, 1]}'),
    post(f"{BOT}/heartbeat", BY_BOT, '{"sent": {"segment_id": "a", "revision": 1}}'),
    post(f"{BOT}/exited", BY_BOT, '{"seq": 1, "exit_code": null, "detail": ["x"]}'),
    post(f"{BOT}/exited", BY_BOT, '{"seq": 1, "exit_code": 0, "reason": []}'),
    post("/bots", BY_USER, "{}"),
    post("/bots", BY_USER, URL + ', "typo": 1, "task": "sing", "language": "English", "bot_name": ""}'),
    post("/bots", BY_USER, URL + ', "join_at": "2026-01-01T12:00:00"}'),
    post("/bots", BY_USER, URL + ', "join_at": true}'),
    post("/bots", BY_USER, URL + ', "platform": "room"}'),
    post("/bots", BY_USER, '{"meeting_url": "nonsense"}'),
    post("/bots", BY_USER, f'{{"meeting_url": "{ROOM_URL}/weekly-sync"}}'),
    post("/bots", BY_USER | {"Idempotency-Key": "k" * 256}, URL + "}"),
    post("/bots", BY_USER | {"Idempotency-Key": ""}, URL + "}"),
    Case("PUT", "/bots/room/weekly-sync/config", JSON | BY_USER, "{}"),
    Case("PUT", "/bots/skype/weekly-sync/config", JSON | BY_USER, '{"task": "translate"}'),
    Case("PUT", "/user/webhook", JSON | BY_USER, '{"webhook_url": "https://localhost/"}'),
    post("/admin/users", BY_ADMIN, '{"email": "nobody"}'),
]

WRONG_ELSEWHERE = [
    *(post(f"{BOT}/{place}", {}, "{}") for place in ("started", "status", "exited", "heartbeat", "commands/1")),
    *(post(f"{BOT}/heartbeat", {"Authorization": said}, "{}") for said in ("Bearer", "Basic {token}", "Bearer x")),
    post(f"{BOT}/exited", {}, '{"seq": 1, "exit_code": 0, "reason": []}'),
    post("/internal/bots/another/heartbeat", BY_BOT, "{}"),
    post("/internal/bots/%C3%BC/heartbeat", BY_BOT, "{}"),
    post("/bots", {"X-API-Key": "wrong"}, URL + "}"),
    post("/bots", {"X-API-Key": "wrong"}, "nonsense"),
    post("/bots", {}, '{"typo": 1}'),
    *(post(f"{BOT}/commands/{seq}", BY_BOT, '{"outcome": "applied"}') for seq in ("0", "x", "1.0", "7", "%201")),
    *(Case("GET", f"{BOT}/commands?after={after}", BY_BOT) for after in ("-1", "", "x", "1&after=x", "%2B1")),
    *(Case("GET", f"/meetings?{query}", BY_USER) for query in ("limit=0", "limit=x&before_id=0", "limit=", "other=1")),
    *(Case("GET", f"/meetings?{query}", BY_USER) for query in ("status=active", "status=active&status=x", "status=")),
    *(Case("GET", f"/meetings/{number}", BY_USER) for number in ("2", "x", "-1", "1e0", "%20", "1_0", "9" * 30)),
    Case("GET", "/meetings/x"),
    Case("GET", "/transcripts/room/weekly-sync?meeting_id=2", BY_USER),
    Case("GET", "/transcripts/skype/weekly-sync", BY_USER),
    Case("GET", "/transcripts/room/weekly-sync?format=pdf", BY_USER),
    Case("PATCH", "/meetings/{meeting_id}", JSON | BY_USER, '{"data": {"name": 1, "colour": "red"}}'),
    Case("GET", "/admin/users?limit=0"),
    Case("GET", "/admin/users?limit=0", BY_ADMIN),
    Case("DELETE", "/admin/tokens/99", BY_ADMIN),
    *(Case(method, f"{BOT}/heartbeat", BY_BOT) for method in ("GET", "HEAD", "PATCH")),
    *(Case("GET", path, BY_USER) for path in ("/bots", "/bots/status/", "/metrics/x", "/nowhere")),
]

TYPES = ["", "text/plain", "application/json; charset=utf-8", "application/JSON", "application/geo+json", "nonsense"]

CASES = [
    *GOOD,
    *(post(f"{BOT}/started", BY_BOT, body) for body in ODD_BODIES),
    *(post("/bots", BY_USER, body) for body in ODD_BODIES),
    *WRONG_FIELDS,
    *WRONG_ELSEWHERE,
    *(Case("POST", f"{BOT}/started", BY_BOT | {"Content-Type": kind}, '{"seq": 1}') for kind in TYPES),
    *(Case("POST", f"{BOT}/{place}", BY_BOT, '{"seq": 1}') for place in ("started", "heartbeat")),
]


def bytes_of(answer: httpx.Response) -> Answer:
    return answer.status_code, answer.headers.raw, answer.content


async def meeting_with_words(api: Api) -> Meeting:
    meeting = await api.world.active()
    said = Segment("a", 1, "s", 0.5, 1.25, meeting.created_at, meeting.created_at, "Hello", "Ann", None, completed=True)
    await api.world.store.save([], [HeardSegment(meeting.meeting_id, said)])
    return meeting


async def story(case: Case) -> list[Answer]:
    """Return the answers to the request, to its repetition, and to the questions what is there afterwards."""
    async with open_api() as api:
        meeting = await meeting_with_words(api)
        answers = [bytes_of(await case.ask(api, meeting)) for _ in range(2)]
        looks = [Case("GET", path, BY_USER) for path in ("/meetings", "/meetings/{meeting_id}/events")]
        return answers + [bytes_of(await look.ask(api, meeting)) for look in looks]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_lean_route_answers_as_fastapi_does(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    by_plan = await story(case)
    monkeypatch.setattr("usher.api.app.lean", lambda route: route)
    assert by_plan == await story(case)


@pytest.mark.parametrize("case", GOOD, ids=str)
async def test_good_requests_need_nothing_of_fastapi(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("fastapi.routing.solve_dependencies")
    async with open_api() as api:
        answer = await case.ask(api, await meeting_with_words(api))
        assert answer.status_code < 300, answer.text
