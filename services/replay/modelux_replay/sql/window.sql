-- conditions: which requests of the log belong to a window; calls that experiments and judge runs made are no traffic
organization_id = {organization_id:String} AND project_id = {project_id:String} AND source NOT IN ('experiment', 'judge')
  AND started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC') AND started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
  AND ({model:String} = '' OR model = {model:String}) AND ({provider:String} = '' OR provider = {provider:String})
  AND ({end_user_id:String} = '' OR end_user_id = {end_user_id:String})
  AND ({status:String} = '' OR outcome = {status:String}) AND ({config:String} = '' OR config_slug = {config:String})
  AND arrayAll((k, v) -> mapContains(tags, k) AND tags[k] = v, {tag_names:Array(String)}, {tag_values:Array(String)})
  AND sipHash64(request_id) % 1000000 < {share_ppm:UInt32}

-- count_rows: how many requests a window holds, and how many more that nobody waited for or whose end is unknown
SELECT countIf(outcome IN ('ok', 'error')) AS rows, count() - rows AS excluded FROM requests_once
WHERE /* conditions */

-- rows_by_bucket: how they are spread over time
SELECT intDiv(toUnixTimestamp64Micro(started_at), {bucket_us:Int64}) AS bucket, count() AS rows FROM requests_once
WHERE outcome IN ('ok', 'error') AND /* conditions */
GROUP BY bucket ORDER BY bucket

-- rows: the requests of one slice, in order of time
SELECT request_id, started_at, endpoint, requested_model, config_slug, config_version, policy_type, outcome, status, error_code,
    model, provider, credential_id, stream, CAST(tags, 'Map(String, String)') AS tags, end_user_id, key_id, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, estimated_input_tokens, max_tokens,
    CAST(needs, 'Array(String)') AS needs, cost_nano, price_unknown, latency_us, ttft_us, attempts, source, trace
FROM requests_once
WHERE outcome IN ('ok', 'error') AND /* conditions */
ORDER BY started_at, request_id LIMIT {most_rows:UInt64}

-- count_calls: how many attempts are on record
SELECT count() AS calls FROM attempts
WHERE project_id = {project_id:String} AND source NOT IN ('experiment', 'judge')
  AND request_started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
  AND request_started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')

-- calls: the attempts, those that were sent
SELECT model, provider, credential_id, request_started_at AS started_at, kind, status, latency_us, ttft_us, input_tokens, output_tokens
FROM attempts_once
WHERE project_id = {project_id:String} AND source NOT IN ('experiment', 'judge')
  AND request_started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
  AND request_started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
  AND kind != 'cancelled' AND error_code NOT IN ('circuit_open', 'budget_exceeded', 'price_unknown')
  AND sipHash64(request_id) % 1000000 < {share_ppm:UInt32}
ORDER BY request_started_at, request_id, number

-- calls_missing: how many calls that the rows of an experiment name are not in the log
SELECT count() AS missing FROM (
    SELECT arrayJoin([candidate_request_id, repeat_request_id]) AS call_id FROM experiment_rows WHERE experiment_id = {id:String}
)
WHERE call_id != '' AND call_id NOT IN (
    SELECT request_id FROM requests WHERE project_id = {project_id:String} AND source = 'experiment'
      AND started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
)
