-- askable: a logged chat whose body was kept
outcome IN ('ok', 'error') AND endpoint = 'chat' AND logging_mode = 'full' AND request_body != ''

-- count_askable: how many requests of a window can be asked again
SELECT count() AS rows FROM requests_once
WHERE /* askable */ AND /* conditions */

-- population: the requests that can be asked again, and what strata are made of
SELECT request_id, started_at, model, CAST(tags, 'Map(String, String)')[{stratum_tag:String}] AS tag,
    greatest(input_tokens, estimated_input_tokens) AS tokens
FROM requests_once
WHERE /* askable */ AND /* conditions */
ORDER BY started_at, request_id

-- bodies: what some requests asked
SELECT request_id, request_body FROM requests_once
WHERE request_id IN {ids:Array(String)} AND /* conditions */
