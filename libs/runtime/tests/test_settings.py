"""Settings come from the environment, or from files that it names, and refuse what does not parse by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from modelux_runtime.settings import InvalidSetting, PlatformSettings, load, provider_keys, required, setting


@dataclass(frozen=True, slots=True)
class Example:
    """One of each."""

    token: str = required(str, "A token")
    port: int = setting(8080, "A port")
    ratio: float = setting(0.5, "A ratio")
    strict: bool = setting(False, "A switch")
    folder: Path = setting(Path("/tmp"), "A folder")


def test_values_are_parsed_by_their_type_and_defaults_stand() -> None:
    environ = {"MODELUX_X_TOKEN": "t", "MODELUX_X_PORT": "9", "MODELUX_X_STRICT": "yes", "MODELUX_X_FOLDER": "/srv"}
    assert load(Example, "MODELUX_X", environ) == Example("t", 9, 0.5, True, Path("/srv"))


def test_a_secret_may_live_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    assert load(Example, "MODELUX_X", {"MODELUX_X_TOKEN_FILE": str(tmp_path / "token")}).token == "from a file"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        pytest.param({}, "MODELUX_X_TOKEN is not set", id="missing"),
        pytest.param({"MODELUX_X_TOKEN": "t", "MODELUX_X_PORT": "many"}, "MODELUX_X_PORT", id="no number"),
        pytest.param({"MODELUX_X_TOKEN": "t", "MODELUX_X_STRICT": "maybe"}, "MODELUX_X_STRICT", id="no switch"),
        pytest.param({"MODELUX_X_TOKEN_FILE": "/nowhere/at/all"}, "MODELUX_X_TOKEN_FILE", id="no such file"),
    ],
)
def test_what_does_not_parse_is_refused_by_name_and_never_repeated(environ: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSetting, match=named) as refused:
        load(Example, "MODELUX_X", environ)
    assert "many" not in str(refused.value)
    assert "maybe" not in str(refused.value)


def test_every_platform_setting_explains_itself() -> None:
    assert all(each.metadata["help"] for each in PlatformSettings.__dataclass_fields__.values())


def test_provider_keys_that_are_set_are_found() -> None:
    found = provider_keys(
        {"OPENAI_API_KEY": "openai", "GROQ_API_KEY": "groq"}, {"OPENAI_API_KEY": "sk", "GROQ_API_KEY": ""}
    )
    assert found == {"openai": "sk"}
