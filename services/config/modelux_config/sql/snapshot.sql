-- one_moment: all statements that follow see the same data
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- version: which state this is
SELECT version FROM config.snapshot_version

-- projects: of every organization
SELECT id, organization_id, name, logging_mode, default_max_tokens, experiment_spend_cap_nano, judge_spend_cap_nano,
    experiment_sample_min, experiment_sample_max
FROM config.projects ORDER BY id

-- keys: those not revoked; a proxy minds the expiry itself
SELECT id, project_id, hash, expires_at_us, requests_per_minute, tokens_per_minute, allowed_models, name FROM config.proxy_keys
WHERE revoked_at_us = 0 ORDER BY id

-- credentials: with their sealed secrets
SELECT id, organization_id, provider, base_url, sealed_secret, models, name, allow_private, project_ids FROM config.credentials
ORDER BY id

-- routing_configs: archived ones too, since they answer with an error of their own
SELECT id, project_id, slug, active_version, archived FROM config.routing_configs ORDER BY id

-- versions: callers may pin any of them
SELECT routing_config_id, version, policy FROM config.routing_config_versions ORDER BY routing_config_id, version

-- prices: all dates
SELECT id, organization_id, provider, model, input, output, cache_read, cache_write, cache_write_1h, input_audio,
    cache_audio_read, input_image, output_audio, output_image, web_search, request, effective_from_us
FROM config.prices ORDER BY id

-- budgets: those in force; caps of runs are known to those who spend under them
SELECT id, organization_id, project_id, name, scope, scope_key, "each", cap_nano, max_calls, max_duration_s, action, downgrade_to,
    downgrade_at_ppm, loop_calls
FROM config.budgets WHERE deleted_at_us = 0 AND NOT disabled AND NOT spend_cap ORDER BY id
