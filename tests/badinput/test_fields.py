"""Fields that hold what no provider could use (P26-P37, P44, P46): each named in its error, before any call.

P47 and P48 are about spend caps and are tested where those are built.
"""

from __future__ import annotations

import json

import pytest
from badinput_wire import EMBEDDINGS, chat, request, sim
from badinput_words import HI, cases, content, fields, image, text

MODEL_AND_MESSAGES = [
    *cases("P26", "missing_required_parameter", [("no model", f"{{{HI}}}".encode())]),
    *cases(
        "P26",
        "invalid_value",
        (
            (f"model {each[:12]}", text(model=each))
            for each in (
                "1",
                "null",
                "[]",
                "{}",
                "true",
                '""',
                '"@"',
                '"@a b"',
                '"@ "',
                '"a\\nb"',
                '"' + "x" * 10_000 + '"',
            )
        ),
    ),
    *cases("P27", "missing_required_parameter", [("no messages", b'{"model":"gpt-4o"}')]),
    *cases(
        "P27",
        "missing_required_parameter",
        [
            ("no role", text(messages='"messages":[{"content":"hi"}]')),
            ("a part without a type", text(messages=content([{"text": "hi"}]))),
        ],
    ),
    *cases(
        "P27",
        "invalid_value",
        (
            (each[:60], text(messages=each))
            for each in (
                '"messages":{}',
                '"messages":[]',
                '"messages":null',
                '"messages":"hi"',
                '"messages":[null]',
                '"messages":["hi"]',
                '"messages":[[]]',
                '"messages":[' + ",".join(['{"role":"user","content":"x"}'] * 10_000) + "]",
                content("x", role="root"),
                content("x", role=""),
                content("x", role=1),
                content("x", role=None),
                content(None),
                content(1),
                content({}),
                content([]),
                content([None]),
                content(["x"]),
                content([{"type": "hologram"}]),
                content([{"type": "text"}]),
                content([{"type": "text", "text": 1}]),
                content([{"type": "image_url"}]),
                content([{"type": "image_url", "image_url": {}}]).replace("{}", '{"url":1}'),
                image(""),
                image("x"),
                image("file:///etc/passwd"),
                image("FILE:///etc/passwd"),
                image("ftp://example.com/a.png"),
                image("gopher://example.com/"),
                image("http://169.254.169.254/latest/meta-data/"),
                image("http://127.0.0.1/"),
                image("http://localhost@127.0.0.1/"),
                image("http://127.1/"),
                image("http://0x7f.1/"),
                image("http://2130706433/"),
                image("http://[::1]/"),
                image("http://[::ffff:169.254.169.254]/"),
                image("http://[64:ff9b::a9fe:a9fe]/"),
                image("http://100.64.1.1/"),
                image("https://10.0.0.1/a.png"),
                image("https://metadata.google.internal/"),
                image("https://metadata.google.internal./"),
                image("https://"),
                '"messages":[{"role":"tool","content":"x"}]',
                '"messages":[{"role":"assistant"}]',
                '"messages":[{"role":"assistant","tool_calls":[]}]',
            )
        ),
    ),
]
PARAMETERS = [
    *fields("P28", "max_tokens", ("0", "-1", "1.5", '"10"', "true", "[]", "{}", "99999999999")),
    *fields("P28", "max_completion_tokens", ("0", "-1", '"10"')),
    *cases("P28", "invalid_value", [("both limits", text('"max_tokens":1,"max_completion_tokens":1'))]),
    *fields("P29", "n", ("0", "-1", "1000", "1.5", '"1"', "true")),
    *cases("P29", "invalid_value", [("a stream of 1,000", text('"stream":true,"n":1000'))]),
    *fields("P30", "temperature", ('"hot"', "-0.1", "2.1", "true", "[]")),
    *fields("P30", "top_p", ("2", "-1", '"1"')),
    *fields("P31", "stream", ('"yes"', "1", "0", '"true"', "{}", "[]")),
    *fields("P31", "stream_options", ("true", '"x"', "[]", '{"include_usage":"yes"}')),
    *fields("P32", "stop", (json.dumps(["x"] * 100_000), "1", "[1]", "{}", "[null]")),
    *cases(
        "P33",
        "invalid_value",
        [
            (what, text('"tools":' + json.dumps(tools)))
            for what, tools in {
                "5 MiB of schema": [{"type": "function", "function": {"name": "f", "description": "x" * 5_242_880}}],
                "duplicate names": [{"type": "function", "function": {"name": "f"}}] * 2,
                "600": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(600)],
                "an empty name": [{"type": "function", "function": {"name": ""}}],
                "a long name": [{"type": "function", "function": {"name": "f" * 1000}}],
                "no function": [{"type": "function"}],
                "an object": {"type": "function"},
                "a string": "f",
                "parameters a list": [{"type": "function", "function": {"name": "f", "parameters": []}}],
            }.items()
        ],
    ),
    *cases(
        "P34",
        "invalid_value",
        [
            (value[:50], text(f'"response_format":{value}'))
            for value in (
                '{"type":"yaml"}',
                '"json"',
                "[]",
                '{"type":1}',
                '{"type":"json_schema"}',
                '{"type":"json_schema","json_schema":{"name":"x"}}',
                '{"type":"json_schema","json_schema":{"name":"x","schema":"bogus"}}',
                '{"type":"json_schema","json_schema":{"name":"x","schema":[]}}',
                '{"type":"json_schema","json_schema":{"name":"","schema":{}}}',
                '{"type":"json_schema","json_schema":{"name":1,"schema":{}}}',
            )
        ],
    ),
    *cases("P34", "missing_required_parameter", [("no type", text('"response_format":{}'))]),
    *cases(
        "P35",
        "invalid_value",
        [
            (what, text(f'"mlx:tags":{json.dumps(tags)}'))
            for what, tags in {
                "a list": [],
                "a string": "team=search",
                "a number": 1,
                "100": {str(n): "x" for n in range(100)},
                "10 KiB": {"a": "x" * 10_240},
                "a key of 10 KiB": {"x" * 10_240: "a"},
                "an empty key": {"": "a"},
                "nested": {"a": {"b": "c"}},
                "a list as value": {"a": ["b"]},
                "a number as value": {"a": 1},
                "null as value": {"a": None},
                "a bell": {"a": "\x07"},
                "a line break in a key": {"a\r\nx-evil": "1"},
            }.items()
        ],
    ),
    *fields("P37", "user", ('"' + "x" * 1_048_576 + '"', "1", "{}", '"' + "x" * 513 + '"')),
    *fields("P37", "mlx:end_user_id", ('"' + "x" * 1_048_576 + '"', "1")),
]


@pytest.mark.parametrize(("body", "code"), [*MODEL_AND_MESSAGES, *PARAMETERS])
def test_a_bad_field_is_refused(live, body, code):
    live.refused(request(body), 400, code)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param(text(messages=content("x", role="root")), "messages[0].role", id="P27 role"),
        pytest.param(
            text(messages=image("file:///etc/passwd")), "messages[0].content[0].image_url.url", id="P27 image"
        ),
        pytest.param(text(messages=content(None)), "messages[0].content", id="P27 content"),
        pytest.param(text('"temperature":"hot"'), "temperature", id="P30 temperature"),
        pytest.param(text('"stream":"yes"'), "stream", id="P31 stream"),
        pytest.param(text('"mlx:tags":{"a":"\\u0007"}'), "mlx:tags.a", id="P35 tag"),
    ],
)
def test_the_error_names_the_field(live, body, param):
    assert live.refused(request(body), 400, "invalid_value").error["param"] == param


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        pytest.param("@nope", "model_not_found", "@production", id="P26 an unknown slug"),
        pytest.param("@productoin", "model_not_found", "@production", id="P26 a slug with a slip"),
        pytest.param("@production:9", "config_version_not_found", "9", id="P26 an unknown version"),
        pytest.param("@production:x", "config_version_not_found", "x", id="P26 a version that is none"),
        pytest.param("@production:1:1", "config_version_not_found", "1:1", id="P26 two versions"),
        pytest.param("@../../x", "model_not_found", "", id="P26 a path as slug"),
        pytest.param("gpt-4", "model_not_found", "gpt-4o", id="P26 a model with a slip"),
        pytest.param("../../x", "model_not_found", "/v1/models", id="P26 a path"),
        pytest.param("gpt-4o:nobody", "model_not_found", "", id="P26 an unknown provider"),
        pytest.param("'; DROP TABLE keys; --", "model_not_found", "", id="P26 SQL"),
        pytest.param("{{7*7}}${7*7}", "model_not_found", "{{7*7}}", id="P26 a template"),
        pytest.param("@secret-plan", "model_not_found", "", id="P26 a slug of another project"),
    ],
)
def test_an_unknown_model_is_told_with_what_is_near(live, model, code, says):
    error = live.refused(request(chat(model=model)), 404, code).error
    assert says in error["message"]
    assert error["param"] == "model"
    assert "secret-plan" not in error["message"].replace(model, "")


@pytest.mark.parametrize(
    ("model", "stream"),
    [pytest.param(m, s, id=f"P29 {m} {s}") for m in ("claude-sonnet-4-5",) for s in (False, True)],
)
def test_several_choices_where_the_provider_makes_one(live, model, stream):
    answer = live.answer(request(chat({"n": 2, "stream": stream}, model=model)))
    assert answer.status == 400, answer.raw[:600]
    assert answer.error["param"] == "n"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({"input": ["x"] * 100_000}, "invalid_value", id="P44 100,000 strings"),
        pytest.param({"input": ""}, "invalid_value", id="P44 empty"),
        pytest.param({"input": []}, "invalid_value", id="P44 none"),
        pytest.param({"input": [""]}, "invalid_value", id="P44 one empty"),
        pytest.param({"input": ["a", ""]}, "invalid_value", id="P44 the second empty"),
        pytest.param({"input": [[]]}, "invalid_value", id="P44 no tokens"),
        pytest.param({"input": [-1]}, "invalid_value", id="P44 a negative token"),
        pytest.param({"input": [2**31]}, "invalid_value", id="P44 a token of 32 bits"),
        pytest.param({"input": [10**30]}, "invalid_value", id="P44 a token of 100 bits"),
        pytest.param({"input": [[1, -1]]}, "invalid_value", id="P44 a negative token inside"),
        pytest.param({"input": [1.5]}, "invalid_value", id="P44 a fraction"),
        pytest.param({"input": [True]}, "invalid_value", id="P44 a truth"),
        pytest.param({"input": ["a", 1]}, "invalid_value", id="P44 a mixture"),
        pytest.param({"input": {"a": 1}}, "invalid_value", id="P44 an object"),
        pytest.param({"input": None}, "invalid_value", id="P44 null"),
        pytest.param({}, "missing_required_parameter", id="P44 no input"),
        pytest.param({"input": "a", "dimensions": 0}, "invalid_value", id="P44 no dimensions"),
        pytest.param({"input": "a", "dimensions": "x"}, "invalid_value", id="P44 dimensions in words"),
        pytest.param({"input": "a", "encoding_format": "hex"}, "invalid_value", id="P44 an unknown encoding"),
    ],
)
def test_bad_embeddings_are_refused(live, given, code):
    body = json.dumps({"model": "text-embedding-3-small"} | given).encode()
    live.refused(request(body, EMBEDDINGS), 400, code)


@pytest.mark.parametrize(
    "key", ["sk-proj-abcdefghijklmnopqrstuvwx", "AIzaSyA1234567890abcdefghijk", "AKIAIOSFODNN7EXAMPLE"]
)
def test_a_key_in_a_prompt_is_the_callers_own(live, key):
    """P46: no rule to mask logs exists yet; the prompt reaches its provider and no error repeats it."""
    answer = live.answer(request(chat(prompt=f"my key is {key} " + sim(status=400))))
    assert answer.status == 400
    assert key not in answer.body.decode()
    assert key in (live.calls()[-1].body or "")
