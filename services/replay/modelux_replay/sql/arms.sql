-- newest: requests of the arms of one version that splits the traffic, the newest of each
SELECT /* columns */
ORDER BY started_at DESC, request_id
LIMIT {most:UInt32} BY arm

-- sample: the same, drawn evenly over the time where there are more, so that both arms tell of the same time
SELECT /* columns */
ORDER BY cityHash64(request_id), request_id
LIMIT {most:UInt32} BY arm

-- columns: of requests that a proxy served under the version, each with the arm that it fell on
arm, toUnixTimestamp64Micro(started_at) AS started_us, outcome = 'ok' AS ok,
    latency_us, cost_nano
FROM requests_once
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String} AND source = ''
    AND config_slug = {slug:String} AND config_version = {version:Int32} AND outcome IN ('ok', 'error')
    AND started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC') AND arm IN {arms:Array(String)}
