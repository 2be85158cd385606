-- Some requests with their bodies. What really happened is preferred to 'unknown', and what came last; no FINAL, so the
-- index finds them.
SELECT
    request_id, project_id, toUnixTimestamp64Micro(started_at) AS started_at_us, requested_model, model, provider, outcome,
    if(price_unknown, NULL, cost_nano) AS known_cost_nano, latency_us, request_body
FROM requests
WHERE organization_id = {organization_id:String} AND request_id IN {request_ids:Array(String)}
    AND started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
ORDER BY version DESC, ingested_at DESC
LIMIT 1 BY request_id
