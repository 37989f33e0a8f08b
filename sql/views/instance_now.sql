-- One row for each instance that is not gone, as the newest poll left it.
-- `state` is the meaning of `status` (unknown codes: 'unknown'); `missing_since` is set while one
-- complete poll did not list it; `as_of` is the start of the newest complete poll.
-- @column account the account's name
-- @column state meaning of status; 'unknown' for unknown codes
-- @column is_up whether it counts as running
-- @column charging_unit hour, day, week, month, year; null: unknown
-- @column shutdown_time when it will be shut down; null: no timer is on
-- @column timer_is_on whether a shutdown is scheduled, its time known or not
-- @column running_since start of the open stretch of running time; null: not running
-- @column running_since_s start of the open stretch, epoch seconds; null: not running
-- @column as_of start of the newest complete poll
-- @column as_of_s start of the newest complete poll, epoch seconds
-- @column hour_microcny what it costs an hour by the price in force then; null: nothing, or not known
-- @column shutdown_time_s shutdown_time, epoch seconds
-- @column create_time_s creation, epoch seconds
-- @column hour_yuan what it costs an hour, yuan; null: nothing, or not known
-- @column running_hours hours from running_since to as_of; null: not running
-- @column running_since_local running_since by the clocks of the reporting time zone
-- @column shutdown_time_local shutdown_time by those clocks
-- @column create_time_local creation by those clocks
-- @column as_of_local as_of by those clocks
SELECT
    n.*,
    yuan(n.hour_microcny) AS hour_yuan,
    CASE
        WHEN n.running_since_s IS NOT NULL THEN in_hours(later(n.as_of_s - n.running_since_s, 0))
    END AS running_hours,
    local_of(n.running_since_s) AS running_since_local,
    local_of(n.shutdown_time_s) AS shutdown_time_local,
    local_of(n.create_time_s) AS create_time_local,
    local_of(n.as_of_s) AS as_of_local
FROM (
    SELECT
        a.name AS account,
        i.instance_uuid,
        i.title,
        i.status,
        CAST(COALESCE(s.state, 'unknown') AS TEXT) AS state,
        flag(s.is_up) AS is_up,
        i.gpu_name,
        i.gpu_nums,
        i.gpu_uuid,
        i.image_name,
        i.image_tag,
        i.image_uuid,
        i.charging_type,
        c.unit AS charging_unit,
        i.create_time,
        i.start_time,
        timer_of(i) AS shutdown_time,
        u.started_at AS running_since,
        epoch(u.started_at) AS running_since_s,
        i.version,
        i.first_seen_at,
        i.changed_at,
        i.last_seen_at,
        i.missing_since,
        h.last_at AS as_of,
        epoch(h.last_at) AS as_of_s,
        epoch(timer_of(i)) AS shutdown_time_s,
        epoch(i.create_time) AS create_time_s,
        flag(i.shutdown_enabled) AS timer_is_on,
        i.save_image_status,
        w.project,
        w.owner,
        w.tags,
        CASE
            WHEN p.kind = 'held' OR u.started_at IS NOT NULL
            THEN price_of_time(i, p, {HOUR_S})
        END AS hour_microcny
    FROM instance i
    JOIN account a ON a.account_id = i.account_id
    LEFT JOIN instance_status s ON s.status = i.status
    LEFT JOIN charging_type c ON c.charging_type = i.charging_type
    LEFT JOIN instance_usage u
        ON is_instance_of(u, i)
        AND u.ended_at IS NULL AND u.kind = 'running'
    LEFT JOIN _sync_horizon h ON h.account_id = i.account_id
    LEFT JOIN allocation w ON is_payer_of(w, i, epoch(h.last_at))
    LEFT JOIN price_period p ON is_price_of(p, i) AND holds(p, epoch(h.last_at))
    WHERE i.gone_at IS NULL
) n
