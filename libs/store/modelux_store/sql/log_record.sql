-- One request with its trace and bodies. What really happened is preferred to 'unknown', and what came last; no FINAL,
-- so the index finds it.
SELECT
    request_id, organization_id, project_id, key_id, toUnixTimestamp64Micro(started_at) AS started_at_us, endpoint,
    requested_model, config_slug, config_version, policy_type, outcome, status, error_code, model, provider, credential_id,
    stream, tags, end_user_id, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    usage_estimated, cost_nano, latency_us, ttft_us, overhead_us, attempts, logging_mode, body_shed, price_version,
    price_unknown, charged_nano, repeats, usage_extras, response_id, source, trace, request_body, response_body
FROM requests
WHERE organization_id = {organization_id:String} AND request_id = {request_id:String}
ORDER BY version DESC, ingested_at DESC
LIMIT 1
