-- want: a judge run is to be made of it
UPDATE replay.experiments SET judge_state = 'wanted' WHERE id = %(id)s

-- waiting: some of those whose judge run is to be made, or is under way
SELECT * FROM replay.experiments WHERE judge_state IN ('wanted', 'running') ORDER BY id LIMIT 20

-- made: the judge run that was made of it
UPDATE replay.experiments SET judge_state = 'running', judge_run_id = %(judge_run_id)s WHERE id = %(id)s AND judge_state = 'wanted'

-- judged: its verdict, once
UPDATE replay.experiments SET judge_state = 'done', verdict = %(verdict)s, verdict_facts = %(verdict_facts)s, revision = revision + 1
WHERE id = %(id)s AND judge_state IN ('wanted', 'running') RETURNING id
