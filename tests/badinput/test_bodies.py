"""Bodies that are not the JSON they should be (P1-P12): one clear error each, before any provider is called."""

from __future__ import annotations

import json

import pytest
from badinput_wire import request
from badinput_words import HI, cases, content, fields, text

DEEP = "[" * 100_000 + "]" * 100_000
HALF_DEEP = "[" * 100_000

SYNTAX = [
    *cases("P1", "invalid_json", [("empty", b"")]),
    *cases("P1", "invalid_json", [("white space", b" \r\n\t ")]),
    *cases(
        "P2",
        "invalid_json",
        [
            ("in a key", b'{"model":"gpt-4o","mess'),
            ("in a string", text()[:-6]),
            ("without the last brace", text()[:-1]),
            ("after a colon", b'{"model":'),
            ("a brace alone", b"{"),
            ("something behind", text() + b"}"),
            ("two bodies", text() + text()),
            ("a comma too many", b'{"model":"gpt-4o",}'),
            ("single quotes", b"{'model':'gpt-4o'}"),
            ("a comment", b'{/* hi */"model":"gpt-4o"}'),
            ("a bare word", text('"x":tru')),
            ("a leading zero", text('"x":01')),
            ("a point without digits", text('"x":1.')),
            ("a plus sign", text('"x":+1')),
            ("hexadecimal", text('"x":0x10')),
            ("a raw control character", text('"x":"a\nb"')),
            ("a bad escape", text('"x":"\\q"')),
            ("an escape cut short", text('"x":"\\u12"')),
            ("not JSON at all", b"model=gpt-4o&messages=hi"),
            ("a pickle", b"(lp0\n."),
        ],
    ),
    *cases(
        "P3", "invalid_json", ((each, each.encode()) for each in ("null", "[]", '"x"', "1", "true", "-1.5", "[{}]"))
    ),
    *cases(
        "P4",
        "too_deep",
        [
            ("100,000 arrays", DEEP.encode()),
            ("100,000 arrays not closed", HALF_DEEP.encode()),
            ("100,000 objects", ('{"a":' * 100_000 + "1" + "}" * 100_000).encode()),
            ("in a member", text(f'"x":{DEEP}')),
            ("in a message", text(messages=f'"messages":[{{"role":"user","content":{DEEP}}}]')),
            (
                "in a tool",
                text(f'"tools":[{{"type":"function","function":{{"name":"f","parameters":{{"a":{DEEP}}}}}}}]'),
            ),
            ("65 deep", text('"x":' + "[" * 65 + "]" * 65)),
        ],
    ),
    *cases(
        "P5",
        "too_many_keys",
        [
            ("1,000,000 in a member", text('"x":{' + ",".join(f'"{n}":1' for n in range(1_000_000)) + "}")),
            ("1,000,000 at the top", text(",".join(f'"k{n}":1' for n in range(1_000_000)))),
            ("300 at the top", text(",".join(f'"k{n}":1' for n in range(300)))),
        ],
    ),
    *cases(
        "P6",
        "duplicate_key",
        [
            ("model", text('"model":"mistral-small-latest"')),
            ("model the same", text('"model":"gpt-4o"')),
            ("model escaped", text('"\\u006dodel":"x"')),
            ("messages", text(HI)),
            ("stream", text('"stream":false,"stream":true')),
            ("unknown", text('"x":1,"y":2,"x":3')),
            ("with white space", text('"x" : 1 , "x" : 2')),
        ],
    ),
    *cases(
        "P7",
        "invalid_json",
        [
            (f"{value} at {where}", text(f'"{where}":{value}'))
            for value in ("NaN", "Infinity", "-Infinity")
            for where in ("temperature", "x")
        ],
    ),
    *cases(
        "P8",
        "number_too_large",
        [(f"5,000 digits at {where}", text(f'"{where}":' + "9" * 5000)) for where in ("max_tokens", "seed", "x")],
    ),
    *cases("P8", "number_too_large", [("negative", text('"seed":-' + "9" * 5000))]),
    *cases("P8", "number_too_large", [("as a fraction", text('"x":0.' + "1" * 5000))]),
    *fields("P9", "max_tokens", ("1e999", "-1e999", "1e400", "9" * 40, "1e10")),
    *cases("P9", "invalid_value", [("temperature 1e999", text('"temperature":1e999'))]),
    *cases(
        "P10",
        "invalid_encoding",
        [
            ("in content", text(messages='"messages":[{"role":"user","content":"\\ud800"}]')),
            ("the other half", text('"x":"\\udc00 a"')),
            ("in the wrong order", text('"x":"\\udc00\\ud800"')),
            ("in a key", text('"\\ud800":1')),
            ("in capitals", text('"x":"\\uD83D"')),
            ("in an id", text('"user":"\\udfff"')),
        ],
    ),
    *cases(
        "P11",
        "invalid_encoding",
        [
            ("a wrong byte", text('"x":"?"').replace(b"?", b"\xff")),
            ("latin-1", text('"x":"?"').replace(b"?", b"\xe9")),
            ("an overlong form", text('"x":"?"').replace(b"?", b"\xc0\xaf")),
            ("a surrogate in UTF-8", text('"x":"?"').replace(b"?", b"\xed\xa0\x80")),
            ("above U+10FFFF", text('"x":"?"').replace(b"?", b"\xf4\x90\x80\x80")),
            ("cut in a character", "é".encode()[:1]),
            ("UTF-8 with a mark", b"\xef\xbb\xbf" + text()),
            ("UTF-16 with a mark", text().decode().encode("utf-16")),
            ("UTF-16 big endian", b"\xfe\xff" + text().decode().encode("utf-16-be")),
            ("UTF-32", text().decode().encode("utf-32")),
            ("UTF-7", b"+/v8-" + text()),
        ],
    ),
    *cases("P11", "invalid_json", [("UTF-16 without a mark", text().decode().encode("utf-16-le"))]),
    *cases(
        "P12",
        "invalid_value",
        [
            ("NUL in the user", text('"user":"a\\u0000b"')),
            ("NUL in the end user", text('"mlx:end_user_id":"a\\u0000b"')),
            ("NUL in the model", text(model='"gpt-4o\\u0000"')),
            ("NUL in the slug", text(model='"@production\\u0000"')),
            ("NUL in a tag", text('"mlx:tags":{"a":"\\u0000"}')),
        ],
    ),
]


@pytest.mark.parametrize(("body", "code"), SYNTAX)
def test_a_body_that_is_not_as_it_should_be_is_refused(live, body, code):
    answer = live.refused(request(body), 400, code)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert len(answer.error["message"]) < 600


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "the body is empty", id="P1 says that it is empty"),
        pytest.param(b'{"model":"gpt-4o",\n  "messages":[}', "line 2, column 15", id="P2 says where"),
        pytest.param(b"[]", "must be a JSON object", id="P3 says what is expected"),
        pytest.param(DEEP.encode(), "more than 64 levels", id="P4 says the limit"),
    ],
)
def test_the_error_says_what_to_mend(live, body, says):
    assert says in json.loads(live.answer(request(body)).body)["error"]["message"]


LARGE = 20 * 2**20 - 1000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"[" * LARGE, "too_deep", id="P4 20 MiB of brackets"),
        pytest.param(b"[[]" * (LARGE // 3), "too_many_values", id="P4 20 MiB of pairs in pairs"),
        pytest.param(text('"x":[' + "[]," * (LARGE // 3) + "1]"), "too_many_values", id="P5 7,000,000 lists"),
        pytest.param(text('"x":[' + "1," * (LARGE // 2) + "1]"), "too_many_values", id="P5 10,000,000 numbers"),
        pytest.param(text('"stop":[' + '"",' * (LARGE // 3) + '""]'), "too_many_values", id="P32 7,000,000 strings"),
        pytest.param(text(messages=content([{"type": "text", "text": ""}] * 400_000)), "too_many_keys", id="P27 parts"),
        pytest.param(text(messages=content("[{" * (LARGE // 2))), None, id="P4 20 MiB of brackets in a string"),
        pytest.param(text(messages=content('"[' * (LARGE // 3))), None, id="P4 20 MiB of quotes in a string"),
        pytest.param(text(messages=content(":" * LARGE)), None, id="P5 20 MiB of colons in a string"),
    ],
)
def test_a_large_body_holds_nobody_up(live, body, code):
    """However it is made, others are served meanwhile: reading it takes less than half a second's work."""
    slow = live.slowest_turn()
    if code is None:
        assert live.answer(request(body)).status == 200
    else:
        live.refused(request(body), 400, code)
    assert slow() < 0.5
