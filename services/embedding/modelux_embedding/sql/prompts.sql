-- Bodies of a project's requests that came into the log lately, newest first; without the calls that experiments and judge runs
-- made. A row may come twice until it is merged.
SELECT request_id, request_body, toUnixTimestamp64Milli(ingested_at) AS ingested_ms
FROM requests
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String}
    AND ingested_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
    AND request_body != '' AND source NOT IN ('experiment', 'judge')
ORDER BY ingested_at DESC, request_id DESC
LIMIT 1 BY request_id
LIMIT {most:UInt32}
SETTINGS max_bytes_before_external_sort = 268435456
