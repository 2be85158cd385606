-- The attempts of one request in their order.
SELECT
    number, model, provider, credential_id, kind, status, error_code, started_us, latency_us, ttft_us, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_estimated, usage_extras,
    cost_nano, price_version, price_unknown, charged_nano
FROM attempts FINAL
WHERE project_id = {project_id:String} AND request_id = {request_id:String}
    AND request_started_at = fromUnixTimestamp64Micro({started_at_us:Int64}, 'UTC')
ORDER BY number
