-- Events of each instance, and the moments between which each happened: surely after `not_before`, surely
-- not later than `not_after`; both are equal if the source itself names the moment. `was` and
-- `became` are the values before and after. started and stopped come from running time, so a run that fell
-- between two polls has its events too. Each kind stands by itself, so that a condition on `event` or on
-- `not_after` reaches the tables; SQLite hands it down only if a column is of one kind in all of them,
-- which is why text is cast and `not_before` an expression throughout.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column event created, started, stopped, restarted, gone, returned, retitled, gpu_changed, image_changed, charging_changed, save_image_changed, timer_set, timer_cleared
-- @column was the value before
-- @column became the value after
-- @column not_before it happened after this moment
-- @column not_after and not later than this
-- @column not_before_s epoch seconds
-- @column not_after_s epoch seconds
-- @column cause why a run stopped, if that is known: timer (one went off then), image_saved (saving the image began with it)
-- @column not_before_local not_before by the clocks of the reporting time zone
-- @column not_after_local not_after by the clocks of the reporting time zone
SELECT event_between(a, i, 'created', NULL, h.title, h.create_time, h.create_time, NULL)
FROM instance i
CROSS JOIN instance_history h
JOIN account a ON a.account_id = h.account_id
WHERE is_instance_of(h, i)
    AND h.version = 1 AND h.create_time IS NOT NULL
UNION ALL
SELECT event_between(a, i, 'created', NULL, h.title, h.after_at, h.first_seen_at, NULL)
FROM instance_history h
JOIN account a ON a.account_id = h.account_id
JOIN instance i ON is_instance_of(i, h)
WHERE h.version = 1 AND h.create_time IS NULL AND h.after_at IS NOT NULL
UNION ALL
SELECT
    event_between(
        a,
        i,
        'started',
        NULL,
        gpus(u.gpu_nums, u.gpu_name),
        COALESCE(h.after_at, u.started_at),
        u.started_at,
        NULL
    )
FROM instance_usage u
LEFT JOIN instance_history h
    ON u.evidence = 'unknown_start' AND h.account_id = u.account_id
    AND h.instance_uuid = u.instance_uuid AND h.first_seen_at = u.started_at
JOIN account a ON a.account_id = u.account_id
JOIN instance i ON is_instance_of(i, u)
WHERE u.kind = 'running' AND is_run(u)
UNION ALL
SELECT
    event_between(
        a,
        i,
        'stopped',
        gpus(u.gpu_nums, u.gpu_name),
        NULL,
        u.ended_min,
        u.ended_max,
        CASE
            WHEN u.end_evidence = 'timer' THEN 'timer'
            WHEN u.end_evidence = 'settled' AND COALESCE(p.shutdown_enabled, FALSE)
                AND epoch(p.shutdown_time) - epoch(u.ended_at) BETWEEN -5 AND 5
            THEN 'timer'
            WHEN h.save_image_status = 1 AND COALESCE(p.save_image_status, -1) <> 1 THEN 'image_saved'
        END
    )
FROM instance_usage u
LEFT JOIN instance_history h
    ON is_instance_of(h, u) AND h.first_seen_at = u.ended_max
LEFT JOIN instance_history p
    ON is_instance_of(p, h) AND p.version = h.version - 1
JOIN account a ON a.account_id = u.account_id
JOIN instance i ON is_instance_of(i, u)
WHERE u.kind = 'running' AND u.ended_max IS NOT NULL AND is_run(u)
UNION ALL
SELECT event_between(a, i, 'gone', NULL, NULL, i.last_seen_at, i.gone_at, NULL)
FROM instance i
JOIN account a ON a.account_id = i.account_id
WHERE i.gone_at IS NOT NULL
UNION ALL
SELECT event_between(a, i, 'returned', NULL, h.title, h.after_at, h.first_seen_at, NULL)
FROM instance_history h
JOIN account a ON a.account_id = h.account_id
JOIN instance i ON is_instance_of(i, h)
WHERE h.began_by = 'returned'
UNION ALL
SELECT event_between(a, i, 'restarted', NULL, NULL, h.after_at, h.first_seen_at, NULL)
FROM instance_history h
JOIN account a ON a.account_id = h.account_id
JOIN instance i ON is_instance_of(i, h)
WHERE h.status IN (SELECT status FROM instance_status WHERE state = 'restarting') AND h.version > 1
UNION ALL
SELECT
    event_between(
        a,
        i,
        k.event,
        CASE k.event
            WHEN 'retitled' THEN p.title
            WHEN 'gpu_changed' THEN COALESCE(CAST(p.gpu_nums AS TEXT), '?') || ' x ' || COALESCE(p.gpu_name, '?')
            WHEN 'image_changed' THEN COALESCE(p.image_name, '?') || ':' || COALESCE(p.image_tag, '?')
            WHEN 'charging_changed' THEN CAST(p.charging_type AS TEXT)
            WHEN 'save_image_changed' THEN CAST(p.save_image_status AS TEXT)
        END,
        CASE k.event
            WHEN 'retitled' THEN h.title
            WHEN 'gpu_changed' THEN COALESCE(CAST(h.gpu_nums AS TEXT), '?') || ' x ' || COALESCE(h.gpu_name, '?')
            WHEN 'image_changed' THEN COALESCE(h.image_name, '?') || ':' || COALESCE(h.image_tag, '?')
            WHEN 'charging_changed' THEN CAST(h.charging_type AS TEXT)
            WHEN 'save_image_changed' THEN CAST(h.save_image_status AS TEXT)
        END,
        h.after_at,
        h.first_seen_at,
        NULL
    )
FROM instance_history h
JOIN instance_history p
    ON is_instance_of(p, h)
    AND p.version = h.version - 1
    AND (
        differ(h.title, p.title, '')
        OR gpus_differ(h, p)
        OR images_differ(h, p)
        OR differ(h.charging_type, p.charging_type, -1)
        OR differ(h.save_image_status, p.save_image_status, -1)
        OR differ(h.shutdown_enabled, p.shutdown_enabled, FALSE)
    )
CROSS JOIN (
    SELECT 'retitled' AS event UNION ALL SELECT 'gpu_changed' UNION ALL SELECT 'image_changed'
    UNION ALL SELECT 'charging_changed' UNION ALL SELECT 'save_image_changed'
    UNION ALL SELECT 'timer_set' UNION ALL SELECT 'timer_cleared'
) k
JOIN account a ON a.account_id = h.account_id
JOIN instance i ON is_instance_of(i, h)
WHERE
    (k.event = 'retitled' AND differ(h.title, p.title, ''))
    OR (k.event = 'gpu_changed' AND gpus_differ(h, p))
    OR (k.event = 'image_changed' AND images_differ(h, p))
    OR (k.event = 'charging_changed' AND differ(h.charging_type, p.charging_type, -1))
    OR (k.event = 'save_image_changed' AND differ(h.save_image_status, p.save_image_status, -1))
    OR (
        k.event = 'timer_set' AND COALESCE(h.shutdown_enabled, FALSE)
        AND NOT COALESCE(p.shutdown_enabled, FALSE)
    )
    OR (
        k.event = 'timer_cleared' AND COALESCE(p.shutdown_enabled, FALSE)
        AND NOT COALESCE(h.shutdown_enabled, FALSE)
    )
