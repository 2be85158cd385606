-- What attempts used, alike ones counted together. `at_ms` is the last of `moments_ms` that is not after the request.
-- Attempts that used nothing and cost nothing never went out.
SELECT
    model, provider, price_version, price_unknown,
    roundDown(toUnixTimestamp64Milli(request_started_at), {moments_ms:Array(Int64)}) AS at_ms,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    usage_extras['cache_write_1h'] AS cache_write_1h, usage_extras['input_audio'] AS input_audio,
    usage_extras['cache_audio_read'] AS cache_audio_read, usage_extras['input_image'] AS input_image,
    usage_extras['output_audio'] AS output_audio, usage_extras['output_image'] AS output_image,
    usage_extras['web_searches'] AS web_searches,
    toInt64(count()) AS attempts, toInt64(sum(cost_nano)) AS cost_nano
FROM attempts FINAL
WHERE organization_id = {organization_id:String}
    AND ({project_id:String} = '' OR project_id = {project_id:String})
    AND request_started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
    AND request_started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
    AND (attempts.input_tokens > 0 OR attempts.output_tokens > 0 OR attempts.cost_nano > 0)
GROUP BY ALL
SETTINGS max_bytes_before_external_group_by = 268435456
