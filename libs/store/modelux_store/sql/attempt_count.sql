-- How many attempts a range holds, those written twice counted twice.
SELECT toInt64(count()) AS attempts
FROM attempts
WHERE organization_id = {organization_id:String}
    AND ({project_id:String} = '' OR project_id = {project_id:String})
    AND request_started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
    AND request_started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
