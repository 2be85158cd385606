"""Which base URLs may be stored."""

from __future__ import annotations

import pytest

from modelux_config import base_urls
from modelux_contracts.errors import ProblemError
from modelux_contracts.hosts import host_of


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://api.openai.com/v1", "blocked_address"),
        ("https://user:pass@api.openai.com", "invalid_base_url"),
        ("https://api.openai.com@evil.com", "invalid_base_url"),
        ("https://127.0.0.1", "blocked_address"),
        ("https://127.1", "blocked_address"),
        ("https://0x7f.1", "blocked_address"),
        ("https://0x7f000001", "blocked_address"),
        ("https://0177.0.0.1", "blocked_address"),
        ("https://2130706433", "blocked_address"),
        ("https://10.0.0.7", "blocked_address"),
        ("https://169.254.169.254/latest", "blocked_address"),
        ("https://100.64.1.1", "blocked_address"),
        ("https://[::1]", "blocked_address"),
        ("https://[::ffff:a9fe:a9fe]", "blocked_address"),
        ("https://[::ffff:169.254.169.254]", "blocked_address"),
        ("https://[64:ff9b::a9fe:a9fe]", "blocked_address"),
        ("https://[fd00::1]", "blocked_address"),
        ("https://[fe80::1%25eth0]", "invalid_base_url"),
        ("https://metadata.google.internal", "blocked_address"),
        ("https://localhost", "blocked_address"),
        ("https://db", "blocked_address"),
        ("https://api.openai.com.", "blocked_address"),
        ("https://xn--pi-7ba.openai.com", "blocked_address"),
        ("https://аpi.openai.com", "invalid_base_url"),
        ("https://api.openai.com:22", "blocked_address"),
        ("https://api.openai.com:99999", "invalid_base_url"),
        ("https://api.openai.com/v1?x=1", "invalid_base_url"),
        ("https://api.openai.com/#f", "invalid_base_url"),
        ("https://api.openai.com\\@evil.com", "invalid_base_url"),
        ("https://api.openai.com/a b", "invalid_base_url"),
        ("https://api.openai.com\r\nHost: x", "invalid_base_url"),
        ("https://", "invalid_base_url"),
        ("https:///v1", "invalid_base_url"),
        ("ftp://api.openai.com", "invalid_base_url"),
        ("file:///etc/passwd", "invalid_base_url"),
        ("//api.openai.com", "invalid_base_url"),
        ("api.openai.com", "invalid_base_url"),
        ("https://a..b.com", "invalid_base_url"),
        ("https://-a.com", "invalid_base_url"),
        ("https://" + "a" * 64 + ".com", "invalid_base_url"),
        ("https://a.com/" + "x" * 2000, "invalid_base_url"),
        ("https://[::1", "invalid_base_url"),
    ],
)
def test_refuses(url: str, code: str) -> None:
    with pytest.raises(ProblemError) as refused:
        base_urls.parse(url, ())
    problem = refused.value.problem
    assert (problem.status, problem.code) == (422, code)
    assert problem.errors[0]["field"] == "baseUrl"


@pytest.mark.parametrize(
    ("url", "stored", "host"),
    [
        ("https://api.openai.com/v1/", "https://api.openai.com/v1", "api.openai.com:443"),
        ("HTTPS://API.OpenAI.com:443/v1", "https://api.openai.com/v1", "api.openai.com:443"),
        ("https://8.8.8.8", "https://8.8.8.8", "8.8.8.8:443"),
    ],
)
def test_normalises(url: str, stored: str, host: str) -> None:
    address = base_urls.parse(url, ())
    assert (address.url, address.host, address.private) == (stored, host, False)
    assert host_of(address.url) == host


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://models.lan:8000/v1", {"models.lan:8000"}),
        ("http://models.lan:8000/v1", {"models.lan"}),
        ("http://127.0.0.1:9000", {"*"}),
        ("https://localhost", {"localhost"}),
    ],
)
def test_operators_may_allow_private_hosts(url: str, allowed: set[str]) -> None:
    assert base_urls.parse(url, allowed).private
    assert base_urls.parse(url, (), allow_private=True).private


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://metadata.google.internal/", "http://[fd00:ec2::254]/"]
)
def test_metadata_services_stay_closed_to_operators_too(url: str) -> None:
    with pytest.raises(ProblemError):
        base_urls.parse(url, {"*"}, allow_private=True)


def test_an_allowed_host_does_not_allow_its_neighbours() -> None:
    with pytest.raises(ProblemError):
        base_urls.parse("http://other.lan:8000", {"models.lan"})
    with pytest.raises(ProblemError):
        base_urls.parse("http://models.lan:22", {"models.lan:8000"})
