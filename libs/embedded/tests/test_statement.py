"""What is split off and what is refused, without an engine."""

from __future__ import annotations

import pytest

from modelux_embedded.statement import Refused, parse


@pytest.mark.parametrize(
    ("sql", "text", "form", "data"),
    [
        pytest.param(b"INSERT INTO t (a) FORMAT Native\n\1;\n", "INSERT INTO t (a) ", "Native", b"\1;\n", id="rows"),
        pytest.param(b"insert into t format CSV 1,2", "insert into t ", "CSV", b"1,2", id="lower case, one line"),
        pytest.param(b"INSERT INTO t FORMAT Native", "INSERT INTO t ", "Native", b"", id="no rows"),
        pytest.param(b"SELECT 1 FORMAT Native", "SELECT 1 FORMAT Native", "Native", None, id="query"),
        pytest.param(b"SELECT 'FORMAT' ;", "SELECT 'FORMAT' ;", None, None, id="word in a string"),
        pytest.param(
            b"INSERT INTO t SELECT 1 FORMAT Null",
            "INSERT INTO t SELECT 1 FORMAT Null",
            "Null",
            None,
            id="insert select",
        ),
        pytest.param(
            b"INSERT INTO t (`FORMAT`) VALUES (1)", "INSERT INTO t (`FORMAT`) VALUES (1)", None, None, id="values"
        ),
    ],
)
def test_a_statement_is_split_from_its_rows(sql: bytes, text: str, form: str | None, data: bytes | None) -> None:
    statement = parse(sql)
    assert (statement.text, statement.format, statement.data) == (text, form, data)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE k (a Int8) ENGINE = Kafka SETTINGS x = 1",
        "CREATE TABLE k (a Int8) /* = MergeTree */ engine Kafka('b','t','g','JSON')",
        "CREATE TABLE k (a Int8) ENGINE=`Kafka`",
        "CREATE TABLE r (a Int8) ENGINE=ReplicatedMergeTree('/x','y') ORDER BY a",
        "CREATE DATABASE d ENGINE = MySQL('h','d','u','p')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM `file` ('/etc/passwd')",
        "SELECT * FROM URL('http://169.254.169.254/')",
        "SELECT 1 UNION ALL SELECT * FROM Python(secret)",
        "INSERT INTO FUNCTION s3('http://x') SELECT 1",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
        "SELECT 1; DROP TABLE t",
        "SYSTEM SHUTDOWN",
        "",
        " -- only a comment",
    ],
)
def test_what_leaves_the_engine_or_harms_it_is_refused(sql: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse(sql.encode())
    assert str(refusal.value).startswith(f"Code: {refusal.value.code}. DB::Exception: ")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT engine FROM system.tables WHERE engine = 'Kafka' -- file(",
        "CREATE TABLE t (`engine` String, kind String) ENGINE = ReplacingMergeTree(v) ORDER BY a",
        "SELECT 'file(''x'')', file FROM t",
        "CREATE MATERIALIZED VIEW v TO t AS SELECT 1",
    ],
)
def test_words_that_only_look_dangerous_pass(sql: str) -> None:
    assert parse(sql.encode()).text == sql
