-- Pairs of one judge run. Twice the same verdict is the pair's; a disagreement of the orders counts as equivalent; one reply without a
-- verdict leaves the pair without one (experiment_core.verdicts.Judged.merge).
SELECT row, request_id, candidate_request_id, bucket, similarity, pair_verdict, consistent, at_us, replies
FROM (
    SELECT row, any(v.request_id) AS request_id, any(v.candidate_request_id) AS candidate_request_id, any(v.bucket) AS bucket,
        any(v.similarity) AS similarity, groupArray(v.verdict) AS said,
        arrayFirst(each -> each NOT IN ('better', 'equivalent', 'worse'), said) AS without,
        multiIf(without != '', without, length(arrayDistinct(said)) = 1, said[1], 'equivalent') AS pair_verdict,
        if(without = '' AND length(said) = 2, said[1] = said[2], NULL) AS consistent,
        toUnixTimestamp64Micro(max(v.at)) AS at_us,
        groupArray(toJSONString(map('presented', toString(v.presented), 'verdict', toString(v.verdict), 'reason', v.reason,
            'call_id', v.call_id, 'cost_nano', toString(v.cost_nano), 'error', toString(v.error)))) AS replies
    FROM (
        SELECT * FROM judge_verdicts FINAL
        WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String}
          AND judge_run_id = {judge_run_id:String}
        ORDER BY row, presented
    ) AS v
    GROUP BY row
    HAVING length(said) = {replies:UInt8}
)
WHERE true /* conditions */
ORDER BY row
LIMIT {limit:UInt32}
