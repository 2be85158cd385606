-- requests: sampled requests as they were logged. What really happened is preferred to 'unknown', and what came last
SELECT
    request_id, endpoint, requested_model, stream, tags, end_user_id, key_id, outcome,
    toUnixTimestamp64Micro(started_at) AS started_at_us, if(estimated_input_tokens > 0, estimated_input_tokens, input_tokens)
    AS tokens, max_tokens, needs, request_body, response_body
FROM requests
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String}
  AND toStartOfHour(started_at) BETWEEN toStartOfHour(fromUnixTimestamp64Micro({from_us:Int64}, 'UTC'))
  AND toStartOfHour(fromUnixTimestamp64Micro({to_us:Int64}, 'UTC'))
  AND request_id IN {ids:Array(String)}
ORDER BY version DESC, ingested_at DESC
LIMIT 1 BY request_id
