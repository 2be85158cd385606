"""Routing configs over the management API: versions, diffs, activation, rollback, and what is refused."""

from __future__ import annotations

from management_harness import SINGLE, Client

FALLBACK = {
    "strategy": "fallback",
    "attempts": [{"model": "claude-haiku-4-5", "timeout_ms": 2000}, {"model": "gpt-4o-mini", "timeout_ms": 3000}],
    "retry_on": ["429", "5xx", "timeout"],
}


async def test_a_mistyped_model_is_answered_with_a_warning(acme: Client) -> None:
    await acme.post("/credentials", {"name": "c", "provider": "openai", "secret": "sk-0123456789"})
    body = {"projectId": acme.project_id, "slug": "s", "policy": {"strategy": "single", "model": "gpt-4o-mnii"}}
    answer = await acme.send("POST", "/routing-configs", json=body)
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [
        {
            "field": "policy.model",
            "message": "no credential offers 'gpt-4o-mnii' now",
            "hint": "Did you mean 'gpt-4o-mini'?",
            "code": "unknown_model",
        }
    ]
    path = f"/routing-configs/{answer.json()['data']['id']}"
    for route, good in (("versions", {"policy": "gpt-4o-mini"}), ("activate", {"version": 2})):
        assert (await acme.send("POST", f"{path}/{route}", json=good)).json()["warnings"] == []


async def test_routing_configs_from_creation_to_rollback(acme: Client) -> None:
    made = await acme.config("production", FALLBACK)
    path = f"/routing-configs/{made['id']}"
    assert (made["slug"], made["active_version"], made["policy_type"]) == ("production", 1, "fallback")
    assert made["policy"]["attempts"] == FALLBACK["attempts"]
    second = await acme.post(f"{path}/versions", {"policy": SINGLE, "note": "cheaper"})
    assert (second["version"], second["active"], second["note"]) == (2, False, "cheaper")
    diff = (await acme.get(f"{path}/diff", **{"from": 1, "to": 2}))["data"]
    assert diff["summary"] == "Strategy changed from fallback to single"
    assert diff["changes"][0]["new"] == SINGLE
    active = await acme.post(f"{path}/activate", {"version": 2}, status=200)
    assert (active["active_version"], active["policy"]) == (2, SINGLE)
    back = await acme.post(f"{path}/rollback", status=200)
    assert back["active_version"] == 1
    named = await acme.post(f"{path}/rollback", {"version": 2}, status=200)
    assert named["active_version"] == 2
    problem = await acme.refused("POST", f"{path}/rollback", 404, json={"version": 9})
    assert "@production:9" in problem["detail"]
    versions = (await acme.get(f"{path}/versions"))["data"]
    assert [(v["version"], v["active"]) for v in versions] == [(2, True), (1, False)]
    one = (await acme.get(f"{path}/versions/1"))["data"]
    assert one["policy"]["strategy"] == "fallback"
    for version in ("0", "-1", "99999999999999999999", "x"):
        assert (await acme.send("GET", f"{path}/versions/{version}")).status_code in (404, 422)


async def test_a_refused_policy_names_the_place(acme: Client) -> None:
    body = {"projectId": acme.project_id, "slug": "x", "policy": {"strategy": "fallback", "attempts": [{"modle": "a"}]}}
    problem = await acme.refused("POST", "/routing-configs", 422, json=body)
    assert problem["errors"][0]["field"] == "policy.attempts[0].modle"
    assert "model" in problem["errors"][0]["hint"]
    body["policy"] = {
        "strategy": "ab_test",
        "split": [{"name": "a", "weight": 1, "policy": "@x"}, {"name": "b", "weight": 1, "policy": "m"}],
    }
    problem = await acme.refused("POST", "/routing-configs", 422, json=body)
    assert "circle" in problem["detail"]


async def test_a_stale_if_match_is_refused(acme: Client) -> None:
    made = await acme.send(
        "POST", "/routing-configs", json={"projectId": acme.project_id, "slug": "p", "policy": SINGLE}
    )
    tag, path = made.headers["etag"], f"/routing-configs/{made.json()['data']['id']}"
    first = await acme.send("PATCH", path, json={"description": "a"}, headers={"if-match": tag})
    assert first.status_code == 200
    assert first.headers["etag"] != tag
    problem = await acme.refused("PATCH", path, 412, json={"description": "b"}, headers={"if-match": tag})
    assert problem["code"] == "stale_revision"
    for bad in ('W/"x"', "abc", '"0"', '"-1"'):
        await acme.refused("PATCH", path, 412, json={"description": "b"}, headers={"if-match": bad})
    assert (await acme.send("GET", path)).headers["etag"] == first.headers["etag"]
    assert (await acme.send("DELETE", path, headers={"if-match": "*"})).status_code == 200


async def test_a_config_in_use_is_kept_and_its_users_listed(acme: Client) -> None:
    base = await acme.config("base")
    await acme.config("user", {"ref": "@base"})
    for method, path in (("DELETE", ""), ("POST", "/archive")):
        problem = await acme.refused(method, f"/routing-configs/{base['id']}{path}", 409)
        assert problem["code"] == "routing_config_in_use"
        assert "@user" in problem["errors"][0]["message"]


async def test_archive_and_restore(acme: Client) -> None:
    made = await acme.config("old")
    archived = await acme.post(f"/routing-configs/{made['id']}/archive", status=200)
    assert archived["archived"]
    assert (await acme.get("/routing-configs"))["data"] == []
    assert len((await acme.get("/routing-configs", include_archived=True))["data"]) == 1
    restored = await acme.post(f"/routing-configs/{made['id']}/restore", status=200)
    assert not restored["archived"]


async def test_a_slug_that_looks_like_another_is_refused(acme: Client) -> None:
    await acme.config("production")
    for slug in ("pr\u043eduction", "x" * 300, "Production", "", "latest"):
        body = {"projectId": acme.project_id, "slug": slug, "policy": SINGLE}
        assert (await acme.refused("POST", "/routing-configs", 422, json=body))["errors"][0]["field"] == "slug"
