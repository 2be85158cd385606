-- called: calls of both models on one request by earlier experiments, the newest of each route; an experiment is not its own
-- history, and a run that starts again has the same one. Without FINAL, which would read every row there is: a request that comes twice
-- counts once where ratios are learned.
SELECT 'history' AS source, request_id, baseline_model, candidate_model, '' AS stratum, baseline_input_tokens, baseline_output_tokens,
    candidate_input_tokens, candidate_output_tokens, candidate_latency_us, 0.0 AS chance, toUnixTimestamp64Micro(started_at) AS at_us
FROM experiment_rows
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String} AND experiment_id < {id:String}
    AND written_at < fromUnixTimestamp64Micro({created_us:Int64}, 'UTC') AND evidence = 'observed' AND baseline_status = 'ok'
    AND candidate_status = 'ok' AND candidate_attempts = 1 AND baseline_model != candidate_model AND baseline_model != ''
ORDER BY started_at DESC, request_id, experiment_id
LIMIT {most:UInt32} BY baseline_model, candidate_model

-- strata: the kinds of the requests that experiments called
SELECT request_id, /* stratum */ AS stratum FROM requests_once
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String}
    AND started_at >= fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Micro({last_us:Int64}, 'UTC')
    AND request_id IN (SELECT request_id FROM experiment_rows WHERE project_id = {project_id:String} AND evidence = 'observed')

-- arms: answers of the arms of live splits, the newest of each version
SELECT concat(config_slug, ':', toString(config_version)) AS version, arm, request_id,
    model, /* stratum */ AS stratum, input_tokens, output_tokens
FROM requests_once
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String} AND source = '' AND outcome = 'ok'
    AND started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
    AND endpoint = 'chat' AND version IN {versions:Array(String)} AND arm != ''
ORDER BY started_at DESC, request_id
LIMIT {most:UInt32} BY config_slug, config_version

-- stratum: what tells kinds of requests apart; `calibration.stratum` of the same
arrayStringConcat(arrayFilter(part -> part != '', [arrayStringConcat(arraySort(needs), ','), tags[{stratum_tag:String}]]), ' ')
