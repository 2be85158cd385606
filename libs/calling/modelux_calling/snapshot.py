"""Make a snapshot of the configuration ready to serve, or refuse it whole."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_calling.budget_rules import Rules
from modelux_calling.tenants import Key, Project, Tenants
from modelux_contracts.hosts import host_of
from modelux_providers.catalog import Catalog, CredentialFacts, Offers, PriceOverride
from modelux_providers.client import Origin
from modelux_providers.dialects.base import auth_headers
from modelux_providers.dialects.table import DIALECTS
from modelux_providers.price_overrides import override_of
from modelux_providers.route import Route
from modelux_providers.vendors import VENDORS, Vendor
from modelux_store.secrets import SecretError, open_sealed
from routing_core.config import NamedPolicy, Policy, parse_policy, validate
from routing_core.errors import ModeluxError
from routing_core.types import Target
from routing_core.world import Offer

log = logging.getLogger("modelux.calling")

MAX_POLICIES_KEPT = 50_000


class Refused(Exception):
    """A snapshot that cannot be served from; the one before stays."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Everything that a snapshot does not say by itself."""

    encryption_key: bytes = field(repr=False)
    catalog: Catalog
    vendors: Mapping[str, Vendor] = field(repr=False, default_factory=lambda: VENDORS)
    allow_private: bool = False
    policies: dict[bytes, Policy] = field(default_factory=dict, repr=False)
    """Parsed documents by their bytes: versions never change."""

    def build(self, snapshot: pb.Snapshot, at_ms: int) -> Tenants:
        """Raises `Refused` with the reason, naming what is wrong."""
        try:
            rules = Rules(snapshot.budgets)
        except ValueError as error:
            raise Refused(str(error)) from error
        credentials = self._routes(snapshot.credentials)
        configs: dict[str, list[pb.RoutingConfig]] = defaultdict(list)
        for config in snapshot.routing_configs:
            configs[config.project_id].append(config)
        shared: dict[tuple[str, ...], Offers] = {}
        projects: dict[str, Project] = {}
        for project in snapshot.projects:
            usable = [c for c, _ in credentials.values() if _may_use(project, c)]
            names = (project.organization_id, *(c.id for c in usable))
            if names not in shared:
                prices = [_override(p) for p in snapshot.prices if p.organization_id == project.organization_id]
                known = [CredentialFacts(c.id, c.provider, tuple(c.models)) for c in usable]
                shared[names] = self.catalog.offers(known, prices, at_ms)
            routes = {c.id: credentials[c.id][1] for c in usable}
            projects[project.id] = self._project(project, configs[project.id], shared[names], routes, rules)
        keys = {bytes(key.hash): _key(key, projects, rules) for key in snapshot.keys}
        until_ms = self.catalog.next_change_ms(at_ms, [_override(price) for price in snapshot.prices])
        return Tenants(snapshot.version, keys, projects, until_ms)

    def _project(
        self,
        project: pb.Project,
        configs: Sequence[pb.RoutingConfig],
        offers: Offers,
        routes: Mapping[str, Route],
        rules: Rules,
    ) -> Project:
        named: dict[str, NamedPolicy] = {}
        archived: set[str] = set()
        for config in configs:
            if config.archived:
                archived.add(config.slug)
                continue
            versions = {each.version: self._policy(config.slug, each) for each in config.versions}
            if config.active_version not in versions:
                raise Refused(f"@{config.slug} points to version {config.active_version}, which does not exist")
            named |= {f"{config.slug}:{number}": policy for number, policy in versions.items()}
            named[config.slug] = versions[config.active_version]
        _check_references(project.id, named)
        facts: dict[Target, Offer] = {offer.target: offer for each in offers.values() for offer in each}
        return Project(
            project.id,
            project.organization_id,
            project.logging_mode != "metadata_only",
            project.default_max_tokens,
            named,
            frozenset(archived),
            offers,
            routes,
            facts,
            project.id.encode(),
            offers.price_version,
            rules.of(project.organization_id),
        )

    def _policy(self, slug: str, version: pb.RoutingConfigVersion) -> NamedPolicy:
        document = bytes(version.policy_json)
        policy = self.policies.get(document)
        if policy is None:
            try:
                policy = parse_policy(json.loads(document))
            except (ModeluxError, ValueError, RecursionError) as error:
                raise Refused(f"@{slug} version {version.version} is not a policy: {error}") from error
            if len(self.policies) >= MAX_POLICIES_KEPT:
                self.policies.clear()
            self.policies[document] = policy
        return NamedPolicy(slug, version.version, policy)

    def _routes(self, credentials: Sequence[pb.Credential]) -> dict[str, tuple[pb.Credential, Route]]:
        """Those that can be used. One broken credential is left out; when all are, the encryption key is wrong."""
        found: dict[str, tuple[pb.Credential, Route]] = {}
        broken: Exception | None = None
        for credential in credentials:
            try:
                found[credential.id] = (credential, self._route(credential))
            except (SecretError, ValueError) as error:
                broken = error
                log.error("credential %s cannot be used: %s", credential.id, error)
        if broken is not None and not found:
            raise Refused(f"no stored credential can be used: {broken}")
        return found

    def _route(self, credential: pb.Credential) -> Route:
        vendor = self.vendors.get(credential.provider)
        if vendor is None:
            raise ValueError(f"unknown provider {credential.provider!r}")
        base_url = credential.base_url or vendor.base_url
        secret = ""
        if credential.sealed_secret:
            secret = open_sealed(
                self.encryption_key,
                credential.sealed_secret,
                organization_id=credential.organization_id,
                credential_id=credential.id,
                host=host_of(base_url),
            ).decode()
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("its base URL is not one")
        origin = Origin(
            parts.scheme,
            parts.hostname,
            parts.port or (443 if parts.scheme == "https" else 80),
            credential.allow_private or self.allow_private,
            credential.id,
        )
        headers = auth_headers(vendor.facts.auth, secret) if secret else ()
        return Route(origin, parts.path.rstrip("/"), vendor.facts, DIALECTS[vendor.facts.dialect], headers)


def merge(base: pb.Snapshot, change: pb.Change) -> pb.Snapshot:
    """The snapshot after a change. Neither argument is altered."""
    merged = pb.Snapshot(version=change.version)
    gone = set(change.deleted_ids)
    for name in ("projects", "keys", "credentials", "routing_configs", "prices", "budgets"):
        parts = {part.id: part for part in getattr(base, name) if part.id not in gone}
        parts |= {part.id: part for part in getattr(change, name)}
        getattr(merged, name).extend(parts.values())
    return merged


def _override(price: pb.PriceOverride) -> PriceOverride:
    try:
        return override_of(price)
    except ValueError as error:
        raise Refused(str(error)) from error


def _may_use(project: pb.Project, credential: pb.Credential) -> bool:
    if credential.organization_id != project.organization_id:
        return False
    return not credential.project_ids or project.id in credential.project_ids


def _key(key: pb.ProxyKey, projects: Mapping[str, Project], rules: Rules) -> Key:
    project = projects.get(key.project_id)
    if project is None or len(key.hash) != 32:
        raise Refused(f"key {key.id} belongs to no project or has no hash")
    return Key(
        key.id,
        project,
        key.expires_at_us,
        key.requests_per_minute,
        key.tokens_per_minute,
        frozenset(key.allowed_models),
        rules.for_key(project.organization_id, project.id, key.id),
    )


def _check_references(project_id: str, named: Mapping[str, NamedPolicy]) -> None:
    known = {name: each.policy for name, each in named.items()}
    for name, each in named.items():
        if ":" in name:
            continue
        try:
            validate(each.policy, known, slug=name)
        except ModeluxError as error:
            raise Refused(f"@{name} of project {project_id} cannot be followed: {error}") from error
