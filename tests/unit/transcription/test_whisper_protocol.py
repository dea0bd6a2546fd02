"""The wire models: what is accepted, and what each malformed message is told."""

import json

import pytest

from usher.protocol.whisper import (
    AudioFormat,
    Configured,
    Disconnect,
    LanguageDetected,
    Problem,
    ProtocolViolation,
    Segment,
    Segments,
    ServerReady,
    Task,
    Wait,
    find_uid,
    parse_configure,
    parse_options,
    parse_server_message,
)

OPTIONS = {"uid": "u", "language": "en", "task": "transcribe", "model": "base"}

STOCK_OPTIONS = {
    **OPTIONS,
    "use_vad": True,
    "max_clients": 4,
    "max_connection_time": 600,
    "send_last_n_segments": 10,
    "no_speech_thresh": 0.45,
    "clip_audio": False,
    "same_output_threshold": 10,
    "initial_prompt": None,
    "hotwords": None,
    "vad_parameters": {"threshold": 0.5, "no_such_option": 1},
    "word_timestamps": False,
    "enable_translation": False,
    "target_language": "fr",
}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in OPTIONS.items() if key != name}


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        (json.dumps(without("uid")), "uid: Field required"),
        (json.dumps(without("language")), "language: Field required"),
        (json.dumps(without("task")), "task: Field required"),
        (json.dumps(without("model")), "model: Field required"),
        (json.dumps(OPTIONS | {"task": "sing"}), "task: Input should be 'transcribe' or 'translate'"),
        (json.dumps(OPTIONS | {"audio_format": "mp3"}), "audio_format: Input should be 'float32', 'int16' or 'uint8'"),
        (json.dumps(OPTIONS | {"language": 7}), "language: Input should be a valid string"),
        (json.dumps(OPTIONS | {"uid": ""}), "uid: String should have at least 1 character"),
        (
            json.dumps(OPTIONS | {"send_last_n_segments": 0}),
            "send_last_n_segments: Input should be greater than or equal",
        ),
        (
            json.dumps(OPTIONS | {"vad_parameters": {"threshold": 3}}),
            "vad_parameters.threshold: Input should be less than",
        ),
        ("junk", "message: Invalid JSON"),
        ("[]", "message: Input should be an object"),
        (b"\x00\x00\x00\x00", "the first message must be text"),
        (b"END_OF_AUDIO", "the first message must be text"),
    ],
)
def test_malformed_options_are_told_what_is_wrong(first: str | bytes, complaint: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        parse_options(first)
    assert complaint in str(caught.value)


def test_options_of_a_stock_client_are_accepted() -> None:
    options = parse_options(json.dumps(STOCK_OPTIONS))
    assert (options.uid, options.task, options.audio_format) == ("u", Task.TRANSCRIBE, AudioFormat.FLOAT32)
    assert options.vad_parameters is not None


def test_missing_and_null_audio_format_mean_float32() -> None:
    assert parse_options(json.dumps(OPTIONS | {"audio_format": None})).audio_format is AudioFormat.FLOAT32


@pytest.mark.parametrize(
    "text",
    [
        "junk",
        "{}x",
        '{"type": "stop"}',
        '{"type": "configure", "task": "sing"}',
        '{"type": "configure", "langauge": "de"}',
        json.dumps(OPTIONS),
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        parse_configure(text)


def test_configure_tells_a_missing_language_from_a_null_one() -> None:
    assert "language" not in parse_configure('{"type": "configure", "task": "translate"}').model_fields_set
    assert "language" in parse_configure('{"type": "configure", "language": null}').model_fields_set


@pytest.mark.parametrize(
    "message",
    [
        ServerReady(uid="u", backend="faster_whisper"),
        Disconnect(uid="u"),
        Configured(uid="u", language=None, task=Task.TRANSLATE),
        Wait(uid="u", message=0.5),
        Problem(uid="u", status="ERROR", message="no"),
        Problem(uid="u", status="WARNING", message="well"),
        LanguageDetected(uid="u", language="de", language_prob=0.9),
        Segments(uid="u", segments=[Segment(start="0.000", end="1.500", text=" hi", completed=True, id=0, revision=2)]),
    ],
)
def test_server_messages_survive_the_wire(
    message: ServerReady | Disconnect | Configured | Wait | Problem | LanguageDetected | Segments,
) -> None:
    assert parse_server_message(message.model_dump_json()) == message


def test_segments_of_a_stock_server_have_no_id() -> None:
    raw = '{"uid": "u", "segments": [{"start": "0.000", "end": "2.5", "text": " a", "completed": false, "words": []}]}'
    message = parse_server_message(raw)
    assert isinstance(message, Segments)
    assert message.segments[0].id is None
    assert message.segments[0].revision is None


@pytest.mark.parametrize("raw", ["junk", b"x", "{}", '{"uid": "u"}', '{"uid": "u", "status": "GREAT", "message": "x"}'])
def test_unknown_server_messages_are_refused(raw: str | bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_server_message(raw)


def test_uid_is_found_in_invalid_options() -> None:
    assert find_uid('{"uid": "u"}') == "u"
    assert find_uid("junk") == ""
    assert find_uid(b"\xff\xfe") == ""
