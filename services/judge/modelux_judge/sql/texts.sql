-- bodies: what was asked and answered in some requests. What really happened is preferred to 'unknown', and what came last
SELECT request_id, request_body, response_body
FROM requests
WHERE organization_id = {organization_id:String} AND request_id IN {ids:Array(String)} AND outcome = 'ok'
ORDER BY version DESC, ingested_at DESC
LIMIT 1 BY request_id
