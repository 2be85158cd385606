-- What logged calls were charged that began in a window and ended after their account was opened, per value of a
-- budget's scope. Imported calls were made elsewhere and charged to no budget.
SELECT
    /* value */ AS value, toInt64(sum(if(charged_nano > 0, charged_nano, cost_nano))) AS charged_nano,
    toInt64(uniqExact(request_id)) AS requests
FROM /* table */ FINAL
WHERE organization_id = {organization_id:String} AND source IN ('', 'experiment', 'judge')
    AND ({project_id:String} = '' OR project_id = {project_id:String})
    AND /* began */ >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
    AND /* began */ < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
    AND has({values:Array(String)}, value)
    AND toUnixTimestamp64Micro(/* began */) + latency_us /* begun */
        >= transform(value, {values:Array(String)}, {opened_us:Array(Int64)}, toInt64(0))
GROUP BY value
