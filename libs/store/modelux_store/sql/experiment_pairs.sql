-- Rows of one experiment that meet a condition, the least alike answers first.
SELECT row, request_id, toUnixTimestamp64Micro(started_at) AS started_at_us, similarity,
    candidate_cost_nano - baseline_cost_nano AS cost_delta_nano
FROM experiment_rows FINAL
WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String} AND /* condition */
ORDER BY similarity, row
LIMIT {most:UInt32}
