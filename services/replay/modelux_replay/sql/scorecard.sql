-- unmeasured: promotions of a project, and steps of their rollouts, that nothing was measured of, newest first
SELECT p.experiment_id, p.routing_config_id, p.slug, p.version, p.mode, p.at_us, e.summary
FROM (
    SELECT experiment_id, routing_config_id, slug, version, mode, at_us FROM replay.promotions
    UNION ALL
    SELECT r.experiment_id, r.routing_config_id, r.slug, s.version, CASE s.percent WHEN 100 THEN 'replace' ELSE 'ab_test' END, s.at_us
    FROM replay.rollout_steps s JOIN replay.rollouts r ON r.id = s.rollout_id WHERE s.percent > 0
) p JOIN replay.experiments e ON e.id = p.experiment_id
WHERE e.organization_id = %(organization_id)s AND e.project_id = %(project_id)s AND NOT EXISTS (
    SELECT FROM replay.scorecard s WHERE s.experiment_id = p.experiment_id AND s.source = 'promotion'
        AND s.routing_config_id = p.routing_config_id AND s.version = p.version)
ORDER BY p.at_us DESC LIMIT %(most)s

-- unchecked: experiments of a project that called rows which they had projected, and that are not scored, newest first
SELECT e.id, e.summary FROM replay.experiments e
WHERE e.organization_id = %(organization_id)s AND e.project_id = %(project_id)s AND e.summary LIKE '%%"projection_check":{%%'
    AND NOT EXISTS (SELECT FROM replay.scorecard s WHERE s.experiment_id = e.id AND s.source = 'with_responses')
ORDER BY e.id DESC LIMIT %(most)s

-- add: one score, unless it is there
INSERT INTO replay.scorecard (experiment_id, source, routing_config_id, slug, version, metric, projected, projected_lower,
    projected_upper, measured, measured_lower, measured_upper, requests, measured_at_us)
VALUES (%(experiment_id)s, %(source)s, %(routing_config_id)s, %(slug)s, %(version)s, %(metric)s, %(projected)s,
    %(projected_lower)s, %(projected_upper)s, %(measured)s, %(measured_lower)s, %(measured_upper)s, %(requests)s, %(now_us)s)
ON CONFLICT DO NOTHING

-- all: the scores of a project, newest first
SELECT s.* FROM replay.scorecard s JOIN replay.experiments e ON e.id = s.experiment_id
WHERE e.organization_id = %(organization_id)s AND e.project_id = %(project_id)s
ORDER BY s.measured_at_us DESC, s.experiment_id DESC, s.version, s.metric

-- requests: of a promoted version since its promotion, the first ones; of a split those of the candidate's arm
SELECT cost_nano, latency_us, outcome = 'ok' AS ok FROM requests_once
WHERE organization_id = {organization_id:String} AND project_id = {project_id:String} AND source = ''
    AND config_slug = {slug:String} AND config_version = {version:Int32} AND outcome IN ('ok', 'error')
    AND started_at >= fromUnixTimestamp64Micro({at_us:Int64}, 'UTC')
    AND ({arm:String} = '' OR arm = {arm:String})
ORDER BY started_at, request_id
LIMIT {most:UInt32}
