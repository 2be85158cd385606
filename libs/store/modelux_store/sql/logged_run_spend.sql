-- What the calls that one experiment or judge run made were charged: those whose trace saw its cap. What really happened
-- is preferred to 'unknown'; no FINAL, so that traces of other rows are not read.
SELECT toInt64(sum(if(charged_nano > 0, charged_nano, cost_nano))) AS charged_nano, toInt64(count()) AS requests
FROM (
    SELECT charged_nano, cost_nano FROM requests
    PREWHERE source = {source:String}
    WHERE organization_id = {organization_id:String} AND ({project_id:String} = '' OR project_id = {project_id:String})
        AND started_at >= fromUnixTimestamp64Micro({start_us:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
        AND position(trace, {budget_id:String}) > 0
    ORDER BY version DESC, ingested_at DESC
    LIMIT 1 BY request_id
)
