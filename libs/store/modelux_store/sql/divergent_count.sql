-- How many pairs of answers of one experiment were compared, and how many are less alike than a threshold.
SELECT toInt64(count(similarity)) AS scored, toInt64(countIf(similarity < {threshold:Float64})) AS below
FROM experiment_rows FINAL
WHERE organization_id = {organization_id:String} AND experiment_id = {experiment_id:String}
