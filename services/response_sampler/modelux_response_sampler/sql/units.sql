-- put: work that has come, or has come again: then what is done is told again
INSERT INTO sampler.units (experiment_id, unit, samples, deadline_us)
VALUES (%(experiment_id)s, %(unit)s, %(samples)s, %(deadline_us)s)
ON CONFLICT (experiment_id, unit) DO UPDATE SET state = 'waiting', again = true WHERE units.state = 'done'

-- claim: this process works on the oldest unit that nobody does
UPDATE sampler.units SET state = 'working', epoch = epoch + 1, alive_at = clock_timestamp()
WHERE (experiment_id, unit) = (
    SELECT experiment_id, unit FROM sampler.units
    WHERE state = 'waiting' OR (state = 'working' AND alive_at < clock_timestamp() - make_interval(secs => %(silent_s)s))
    ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING samples, epoch, again

-- beat: a sign of life; no row where another process has taken it up
UPDATE sampler.units SET alive_at = clock_timestamp()
WHERE experiment_id = %(experiment_id)s AND unit = %(unit)s AND epoch = %(epoch)s AND state = 'working' RETURNING unit

-- leave: done, or to be taken up by another process
UPDATE sampler.units SET state = %(state)s, again = again AND %(state)s <> 'done'
WHERE experiment_id = %(experiment_id)s AND unit = %(unit)s AND epoch = %(epoch)s AND state = 'working' RETURNING unit

-- known: what was dealt with of some rows, in whatever unit
SELECT row, side, unit, call_id, pair FROM sampler.calls
WHERE experiment_id = %(experiment_id)s AND row = ANY (%(rows)s)

-- begin: the intent to call, of whoever still holds the unit, once or said again; no row where it does not, or another was begun
INSERT INTO sampler.calls (experiment_id, row, side, unit, epoch, call_id)
SELECT experiment_id, %(row)s, %(side)s, unit, epoch, %(call_id)s FROM sampler.units
WHERE experiment_id = %(experiment_id)s AND unit = %(unit)s AND epoch = %(epoch)s AND state = 'working' FOR SHARE
ON CONFLICT (experiment_id, row, side) DO UPDATE SET call_id = EXCLUDED.call_id
WHERE calls.call_id = EXCLUDED.call_id AND calls.epoch = EXCLUDED.epoch AND calls.pair IS NULL RETURNING row

-- withdraw: nothing was bought: it may be called later
DELETE FROM sampler.calls
WHERE experiment_id = %(experiment_id)s AND row = %(row)s AND side = %(side)s AND epoch = %(epoch)s AND pair IS NULL

-- answer: what came of a call of this process; no row where it was given up for lost meanwhile
UPDATE sampler.calls SET pair = %(pair)s
WHERE experiment_id = %(experiment_id)s AND row = %(row)s AND side = %(side)s AND epoch = %(epoch)s AND pair IS NULL
RETURNING row

-- interrupt: the process that began it is gone; no row where it told after all
UPDATE sampler.calls SET pair = %(pair)s
WHERE experiment_id = %(experiment_id)s AND row = %(row)s AND side = %(side)s AND epoch < %(epoch)s AND pair IS NULL
RETURNING row

-- skip: a row that is not called, by whoever still holds the unit
INSERT INTO sampler.calls (experiment_id, row, side, unit, epoch, call_id, pair)
SELECT experiment_id, %(row)s, %(side)s, unit, epoch, '', %(pair)s FROM sampler.units
WHERE experiment_id = %(experiment_id)s AND unit = %(unit)s AND epoch = %(epoch)s AND state = 'working' FOR SHARE
ON CONFLICT DO NOTHING RETURNING row

-- sweep_calls: of units whose deadline is long past, of which no call can begin any more
DELETE FROM sampler.calls USING sampler.units
WHERE calls.experiment_id = units.experiment_id AND calls.unit = units.unit AND units.state = 'done'
  AND units.deadline_us < %(before_us)s

-- sweep_units: as above
DELETE FROM sampler.units WHERE state = 'done' AND deadline_us < %(before_us)s
