-- How alike the answers of one experiment are: scored pairs in ten buckets, the last one with both of its edges.
SELECT count() AS rows, count(similarity) AS scored, sum(similarity) AS total, countIf(similarity >= {threshold:Float64}) AS agreeing,
    sumMapIf(map(toUInt8(least(floor(assumeNotNull(similarity) * 10 + 1e-9), 9)), toUInt64(1)), isNotNull(similarity)) AS buckets
FROM experiment_rows FINAL
WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String}
