-- The parts of usage that are not charged by the hour, by day: those of prepaid time (kind 'held') and of the
-- running time within it (kind 'running'); usage by an unknown code is among them.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column usage_started_s start of the stretch, epoch seconds
-- @column started_s start of the part, epoch seconds
-- @column evidence of the stretch
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
SELECT
    columns_of_usage(p),
    p.usage_started_s,
    p.started_s,
    a.name AS account,
    i.title
FROM _usage_part p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN charging_type t ON t.charging_type = p.charging_type
WHERE COALESCE(t.unit, '') <> 'hour'
