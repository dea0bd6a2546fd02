"""The load generator's HTTP: whole answers only, however they arrive."""

import json

import pytest
from bench.wire import request, take_answer

_ANSWER = b'HTTP/1.1 201 Created\r\ndate: now\r\ncontent-length: 8\r\n\r\n{"id":1}'
_EMPTY = b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n"


def test_request_says_how_long_its_body_is() -> None:
    head, _, body = request("POST", "/bots", {"X-API-Key": "k"}, {"name": "ä"}).partition("\r\n\r\n")
    assert head.split("\r\n")[0] == "POST /bots HTTP/1.1"
    assert "X-API-Key: k" in head
    assert f"Content-Length: {len(body.encode())}" in head
    assert json.loads(body) == {"name": "ä"}


def test_request_without_a_body_ends_with_its_head() -> None:
    assert request("DELETE", "/bots/room/a", {}).endswith("Host: bench\r\n\r\n")


@pytest.mark.parametrize("cut", range(len(_ANSWER)))
def test_part_of_an_answer_is_no_answer(cut: int) -> None:
    buffer = bytearray(_ANSWER[:cut])
    assert take_answer(buffer) is None
    buffer += _ANSWER[cut:]
    assert take_answer(buffer) == (201, b'{"id":1}')
    assert buffer == b""


def test_answer_without_a_body_and_what_follows_it_stays() -> None:
    buffer = bytearray(_EMPTY + _ANSWER)
    assert take_answer(buffer) == (204, b"")
    assert take_answer(buffer) == (201, b'{"id":1}')
    assert take_answer(buffer) is None


def test_length_is_read_from_the_head_only() -> None:
    body = b"\r\ncontent-length: 99"
    buffer = bytearray(b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:%d\r\n\r\n%s" % (len(body), body))
    assert take_answer(buffer) == (200, body)
    assert buffer == b""
