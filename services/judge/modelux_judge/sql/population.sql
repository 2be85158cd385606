-- pairs: rows of an experiment whose candidate was called and whose answers were compared
SELECT row, request_id, candidate_request_id, similarity, weight, baseline_model, candidate_model,
    baseline_input_tokens AS input_tokens, baseline_output_tokens AS baseline_tokens, candidate_output_tokens AS candidate_tokens
FROM experiment_rows FINAL
WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String}
  AND evidence = 'observed' AND isNotNull(similarity) AND isFinite(assumeNotNull(similarity)) AND candidate_request_id != ''
ORDER BY row

-- shares: for how many requests of the window the called rows stand, and those whose candidate chooses as was logged
SELECT sumIf(weight, evidence = 'observed') AS called, sumIf(weight, evidence = 'reused') AS reused
FROM experiment_rows FINAL
WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String}
