-- keep_draw: the rows that were drawn, unless they were before
INSERT INTO replay.draws (experiment_id, drawn) VALUES (%(id)s, %(drawn)s) ON CONFLICT DO NOTHING

-- draw: the rows that were drawn
SELECT drawn FROM replay.draws WHERE experiment_id = %(id)s

-- add: what came of some rows, each once, as long as their experiment runs
INSERT INTO replay.pairs (experiment_id, row, side, outcome, error_code, charged_nano, embedder, score)
SELECT told.* FROM unnest(%(ids)s::text[], %(rows)s::bigint[], %(sides)s::text[], %(outcomes)s::text[], %(codes)s::text[],
    %(charges)s::bigint[], %(embedders)s::text[], %(scores)s::bytea[])
    AS told (experiment_id, row, side, outcome, error_code, charged_nano, embedder, score)
JOIN replay.experiments AS one ON one.id = told.experiment_id AND one.status = 'running'
ON CONFLICT DO NOTHING

-- known: of which rows and sides it is known what came of them
SELECT row, side FROM replay.pairs WHERE experiment_id = %(id)s

-- tally: how many are known, how many candidates answered, how many a cap refused, and what they were charged
SELECT count(*) AS known, count(*) FILTER (WHERE side = 'candidate' AND outcome IN ('ok', 'error')) AS answered,
    count(*) FILTER (WHERE outcome = 'not_called' AND error_code = 'budget_exceeded') AS refused,
    coalesce(sum(charged_nano), 0)::bigint AS charged_nano
FROM replay.pairs WHERE experiment_id = %(id)s

-- scores: what came of some rows
SELECT score FROM replay.pairs
WHERE experiment_id = %(id)s AND row >= %(first_row)s AND row <= %(last_row)s ORDER BY row, side

-- embedders: what made the similarities
SELECT embedder FROM replay.pairs WHERE experiment_id = %(id)s AND embedder <> '' GROUP BY embedder ORDER BY count(*) DESC

-- clear_pairs: of an experiment that has ended
DELETE FROM replay.pairs WHERE experiment_id = %(id)s

-- clear_draw: of an experiment that has ended
DELETE FROM replay.draws WHERE experiment_id = %(id)s
