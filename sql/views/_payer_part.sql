-- Parts of running time cut where another begins to pay, or another lease holds: the base of leases and limits.
-- While it is in doubt who pays, `or_project` and `or_owner` are who else may. Nothing if there are neither
-- leases nor limits.
-- @column starts_s start of the part, epoch seconds
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column is_doubtful 1 while others may pay
SELECT
    p.account_id,
    p.day,
    p.instance_uuid,
    p.gpu_nums,
    later(p.started_s, COALESCE(w.starts_s, p.started_s)) AS starts_s,
    within_part(p.started_s, p.running_s, COALESCE(w.starts_s, 0), COALESCE(w.ends_s, {FOREVER_S})) AS running_s,
    within_part(p.started_s, p.running_min_s, COALESCE(w.starts_s, 0), COALESCE(w.ends_s, {FOREVER_S}))
        AS running_min_s,
    within_part(p.started_s, p.running_max_s, COALESCE(w.starts_s, 0), COALESCE(w.ends_s, {FOREVER_S}))
        AS running_max_s,
    w.project,
    w.owner,
    COALESCE(w.is_doubtful, 0) AS is_doubtful,
    w.or_project,
    w.or_owner,
    COALESCE(w.lease_no, 0) AS lease_no
FROM _usage_part p
LEFT JOIN allocation w ON w.account_id = p.account_id AND w.instance_uuid = p.instance_uuid
    AND w.starts_s < p.started_s + p.running_max_s AND w.ends_s > p.started_s
WHERE p.kind = 'running' AND p.running_max_s > 0
    AND (EXISTS (SELECT 1 FROM lease) OR EXISTS (SELECT 1 FROM usage_limit))
