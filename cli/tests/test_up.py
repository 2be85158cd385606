"""What `modelux up` writes, prints and refuses before anything runs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from modelux_cli.up import seeds
from modelux_cli.up.command import Options, run_up
from modelux_cli.up.kind import keep_apart
from modelux_cli.up.layout import LONGEST_SOCKET_PATH, config_socket
from modelux_cli.up.secrets import load_or_create
from modelux_cli.up.traffic import bodies
from routing_core.config import parse_policy
from routing_core.errors import ModeluxError


def test_secrets_are_made_once_and_only_the_owner_may_read_them(tmp_path: Path) -> None:
    made = load_or_create(tmp_path / "keys.json")
    assert load_or_create(tmp_path / "keys.json") == made
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert made.proxy_key.startswith("mlx_sk_")


@pytest.mark.parametrize("text", ["", "[]", '{"proxy_key": "x"}', "not json"])
def test_a_key_file_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ModeluxError, match="not a key file"):
        load_or_create(tmp_path / "keys.json")


@pytest.mark.parametrize(("first", "owner"), [(True, "the demo"), (False, "real use")])
def test_a_data_folder_serves_the_demo_or_real_use_but_not_both(tmp_path: Path, first: bool, owner: str) -> None:
    for _ in range(2):
        keep_apart(tmp_path, demo=first)
    with pytest.raises(ModeluxError, match=f"belongs to {owner}. Start it with"):
        keep_apart(tmp_path, demo=not first)
    keep_apart(tmp_path, demo=first)


def test_up_refuses_a_folder_of_the_other_kind_before_it_makes_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_apart(tmp_path, demo=True)
    assert run_up(Options(tmp_path, "127.0.0.1", 8080, False, False)) == 2
    assert f"{tmp_path} belongs to the demo" in capsys.readouterr().err
    assert not (tmp_path / "keys.json").exists()


def test_a_socket_path_that_is_too_long_for_the_kernel_moves_to_a_short_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * LONGEST_SOCKET_PATH)
    assert len(str(config_socket(deep))) <= LONGEST_SOCKET_PATH


def test_the_demo_policies_are_valid() -> None:
    assert len(seeds.DEMO_CONFIGS) == 3
    for _, policy in seeds.DEMO_CONFIGS.values():
        parse_policy(policy)


@pytest.mark.parametrize(
    ("keys", "strategy"),
    [
        pytest.param({"openai": "k"}, "single", id="one key"),
        pytest.param({"openai": "k", "anthropic": "k"}, "fallback", id="two keys"),
    ],
)
def test_provider_keys_become_credentials_and_a_production_config(keys: dict[str, str], strategy: str) -> None:
    made = seeds.from_keys(keys)
    assert {each.provider for each in made.credentials} == set(keys)
    assert json.loads(made.configs[0].policy_json)["strategy"] == strategy


def test_the_demo_traffic_is_the_same_every_time_and_holds_runs_users_and_tags() -> None:
    sent = [json.loads(body) for body in bodies(500)]
    assert sent == [json.loads(body) for body in bodies(500)]
    assert len(sent) == 500
    runs = {body["mlx:tags"].get("run_id") for body in sent}
    assert len(runs) > 20
    assert {body["model"] for body in sent} == {"@production", "@planner", "@executor"}
    assert len({body["user"] for body in sent}) > 10
