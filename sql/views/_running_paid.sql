-- Every part of running time, cut where another project, owner or cost centre begins to pay.
-- @column starts_s start of the part, epoch seconds
-- @column ends_s its end by the best estimate, epoch seconds
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
SELECT
    p.account_id,
    p.day,
    p.instance_uuid,
    p.gpu_uuid,
    p.gpu_name,
    p.gpu_nums,
    w.project,
    w.owner,
    w.cost_centre,
    both_from_s(p, w) AS starts_s,
    later(both_from_s(p, w), earlier(p.started_s + p.running_s, COALESCE(w.ends_s, p.started_s + p.running_s)))
        AS ends_s,
    time_for_payer(p, w, p.running_s) AS running_s,
    time_for_payer(p, w, p.running_min_s) AS running_min_s,
    time_for_payer(p, w, p.running_max_s) AS running_max_s
FROM (
    SELECT
        account_id, day, instance_uuid, gpu_uuid, gpu_name, gpu_nums, started_s AS starts_s, started_s, running_s,
        running_min_s, running_max_s
    FROM _usage_part
    WHERE kind = 'running'
) p
LEFT JOIN allocation w
    ON is_instance_of(w, p)
    AND w.starts_s < p.started_s + p.running_max_s AND w.ends_s > p.started_s
