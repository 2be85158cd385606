-- put: what every unit of a run knows, as long as it is this process's run
INSERT INTO replay.shared_runs (experiment_id, epoch, share_ppm, weight, ordered)
SELECT id, epoch, %(share_ppm)s, %(weight)s, %(ordered)s FROM replay.experiments
WHERE id = %(id)s AND epoch = %(epoch)s AND status = 'running' FOR UPDATE
RETURNING epoch

-- put_plan: from now on others may take part
UPDATE replay.shared_runs SET plan = %(plan)s WHERE experiment_id = %(id)s AND epoch = %(epoch)s

-- put_units: the units themselves
INSERT INTO replay.units (experiment_id, epoch, unit, start_us, end_us, rows, first_row)
SELECT %(id)s, %(epoch)s, told.* FROM unnest(%(units)s::integer[], %(starts)s::bigint[], %(ends)s::bigint[], %(rows)s::bigint[],
    %(first_rows)s::bigint[]) AS told

-- clear_earlier: what is kept of runs that were taken over
DELETE FROM replay.shared_runs WHERE experiment_id = %(id)s AND epoch < %(epoch)s

-- clear: what is kept of the runs of an experiment
DELETE FROM replay.shared_runs WHERE experiment_id = %(id)s

-- waiting: the oldest run that has units for somebody
SELECT units.experiment_id FROM replay.units JOIN replay.shared_runs AS run USING (experiment_id, epoch)
JOIN replay.experiments AS one ON one.id = units.experiment_id AND one.epoch = units.epoch AND one.status = 'running'
WHERE units.rows_done IS NULL AND units.alive_at_us < %(silent_before_us)s AND one.alive_at_us >= %(silent_before_us)s
  AND run.plan IS NOT NULL
ORDER BY one.created_at_us LIMIT 1

-- shared: what every unit of a run knows, where others may take part
SELECT plan, share_ppm, weight, ordered FROM replay.shared_runs
WHERE experiment_id = %(id)s AND epoch = %(epoch)s AND plan IS NOT NULL

-- claim: the first unit of a run that nobody does, or whose owner fell silent
UPDATE replay.units SET owner = %(owner)s, alive_at_us = %(now_us)s
WHERE experiment_id = %(id)s AND epoch = %(epoch)s AND unit = (
    SELECT unit FROM replay.units
    WHERE experiment_id = %(id)s AND epoch = %(epoch)s AND rows_done IS NULL AND alive_at_us < %(silent_before_us)s
    ORDER BY unit LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING unit, start_us, end_us, rows, first_row

-- alive: a sign of life of an owner for all that it has claimed
UPDATE replay.units SET alive_at_us = %(now_us)s
WHERE experiment_id = %(id)s AND epoch = %(epoch)s AND owner = %(owner)s AND rows_done IS NULL

-- goes_on: whether the run still is the one that counts
SELECT epoch FROM replay.shared_runs WHERE experiment_id = %(id)s AND epoch = %(epoch)s

-- finish: what came of a unit, unless somebody else has claimed it since or the run is over
UPDATE replay.units SET rows_done = %(rows_done)s, summary = %(summary)s, left_rows = %(left_rows)s
WHERE experiment_id = %(id)s AND epoch = %(epoch)s AND unit = %(unit)s AND owner = %(owner)s AND rows_done IS NULL
RETURNING unit

-- finished: what came of one unit; no row before it is done
SELECT unit, start_us, end_us, rows, first_row, rows_done, summary, left_rows FROM replay.units
WHERE experiment_id = %(id)s AND epoch = %(epoch)s AND unit = %(unit)s AND rows_done IS NOT NULL
