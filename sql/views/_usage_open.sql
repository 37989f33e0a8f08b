-- Stretches of usage that still go on, each with its horizon: until when it was seen to go on, which is
-- the start of the newest complete poll, for a missing instance its last sighting. After that nobody
-- knows.
-- @column started_s start of the stretch, epoch seconds
-- @column horizon_s it surely went on until then, epoch seconds
-- @column horizon_max_s it may have gone on until then, by what was observed, epoch seconds
SELECT
    u.account_id,
    u.instance_uuid,
    u.usage_no,
    u.kind,
    u.evidence,
    u.gpu_uuid,
    u.gpu_name,
    u.gpu_nums,
    u.charging_type,
    u.image_uuid,
    epoch(u.started_at) AS started_s,
    epoch(seen_until(i, h)) AS horizon_s,
    epoch(maybe_until(i, h)) AS horizon_max_s
FROM instance_usage u
JOIN instance i ON is_instance_of(i, u)
LEFT JOIN _sync_horizon h ON h.account_id = u.account_id
WHERE u.ended_at IS NULL
