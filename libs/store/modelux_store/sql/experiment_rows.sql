-- Rows of one experiment in the order asked for; the place is the sort key and the row's number.
SELECT /* key */ AS key, row, request_id, toUnixTimestamp64Micro(started_at) AS started_at_us, evidence,
    baseline_model, baseline_provider, baseline_cost_nano, baseline_latency_us, baseline_ttft_us, baseline_status, baseline_error_code,
    baseline_input_tokens, baseline_output_tokens, baseline_attempts,
    candidate_model, candidate_provider, candidate_cost_nano, candidate_cost_low_nano, candidate_cost_high_nano, candidate_latency_us,
    candidate_ttft_us, candidate_status, candidate_error_code, candidate_input_tokens, candidate_output_tokens, candidate_attempts,
    similarity, weight, stratum, cluster, reproduced, concat(trace_head, trace) AS trace,
    candidate_request_id, repeat_request_id, repeat_status, repeat_similarity, embedder
FROM experiment_rows FINAL
WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String} /* conditions */
ORDER BY key, row
LIMIT {limit:UInt32}
