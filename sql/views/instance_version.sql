-- One row for each version of each instance, with names, and the time in which it held. It held at
-- instant t if `first_seen_s <= t and (ended_s is null or t < ended_s)`; it began after `after_at` and
-- not later than `first_seen_at`.
-- @column account the account's name
-- @column state meaning of status; 'unknown' for unknown codes
-- @column is_up whether it counts as running
-- @column charging_unit hour, day, week, month, year; null: unknown
-- @column shutdown_time when it was to be shut down; null: no timer was on
-- @column after_s epoch seconds; null: it was there before we looked
-- @column first_seen_s epoch seconds
-- @column ended_s epoch seconds; null while current
-- @column first_seen_local first_seen_at by the clocks of the reporting time zone
-- @column ended_local ended_at by those clocks; null while current
SELECT
    a.name AS account,
    h.instance_uuid,
    h.version,
    h.title,
    h.status,
    CAST(COALESCE(s.state, 'unknown') AS TEXT) AS state,
    flag(s.is_up) AS is_up,
    h.gpu_name,
    h.gpu_nums,
    h.gpu_uuid,
    h.image_name,
    h.image_tag,
    h.image_uuid,
    h.charging_type,
    c.unit AS charging_unit,
    h.create_time,
    h.start_time,
    timer_of(h) AS shutdown_time,
    h.save_image_status,
    h.after_at,
    h.first_seen_at,
    h.began_by,
    h.last_seen_at,
    h.ended_at,
    h.ended_by,
    epoch(h.after_at) AS after_s,
    epoch(h.first_seen_at) AS first_seen_s,
    epoch(h.ended_at) AS ended_s,
    local_of(epoch(h.first_seen_at)) AS first_seen_local,
    local_of(epoch(h.ended_at)) AS ended_local
FROM instance_history h
JOIN account a ON a.account_id = h.account_id
LEFT JOIN instance_status s ON s.status = h.status
LEFT JOIN charging_type c ON c.charging_type = h.charging_type
