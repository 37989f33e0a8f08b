-- What happened to each instance, and between which moments: surely after `not_before`, surely not
-- later than `not_after`; both are equal where the source itself names the moment. `was` and
-- `became` say from what to what. started and stopped come from running time, so a run that fell
-- between two polls has its events too.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column event created, started, stopped, restarted, gone, returned, retitled, gpu_changed, image_changed, charging_changed, save_image_changed, timer_set, timer_cleared
-- @column was from what
-- @column became to what
-- @column not_before it happened after this moment
-- @column not_after and not later than this
-- @column not_before_s epoch seconds
-- @column not_after_s epoch seconds
SELECT
    a.name AS account,
    e.instance_uuid,
    i.title,
    e.event,
    e.was,
    e.became,
    e.not_before,
    e.not_after,
    epoch(e.not_before) AS not_before_s,
    epoch(e.not_after) AS not_after_s
FROM (
    SELECT
        account_id, instance_uuid, 'created' AS event, CAST(NULL AS TEXT) AS was, title AS became,
        COALESCE(create_time, after_at) AS not_before,
        COALESCE(create_time, first_seen_at) AS not_after
    FROM instance_history
    WHERE version = 1 AND (create_time IS NOT NULL OR after_at IS NOT NULL)
    UNION ALL
    SELECT
        u.account_id, u.instance_uuid, 'started', NULL,
        CAST(u.gpu_nums AS TEXT) || ' x ' || u.gpu_name,
        CASE
            WHEN u.evidence = 'unknown_start' THEN COALESCE(h.after_at, u.started_at)
            ELSE u.started_at
        END,
        u.started_at
    FROM instance_usage u
    LEFT JOIN instance_history h
        ON h.account_id = u.account_id AND h.instance_uuid = u.instance_uuid
        AND h.first_seen_at = u.started_at
    WHERE u.kind = 'running' AND u.evidence <> 'possible_run'
        AND NOT (u.evidence = 'gone' AND u.ended_at = u.started_at)
    UNION ALL
    SELECT
        account_id, instance_uuid, 'stopped', CAST(gpu_nums AS TEXT) || ' x ' || gpu_name, NULL,
        ended_min, ended_max
    FROM instance_usage
    WHERE kind = 'running' AND evidence <> 'possible_run' AND ended_at IS NOT NULL
        AND NOT (evidence = 'gone' AND ended_at = started_at)
    UNION ALL
    SELECT account_id, instance_uuid, 'gone', NULL, NULL, last_seen_at, gone_at
    FROM instance
    WHERE gone_at IS NOT NULL
    UNION ALL
    SELECT account_id, instance_uuid, 'returned', NULL, title, after_at, first_seen_at
    FROM instance_history
    WHERE began_by = 'returned'
    UNION ALL
    SELECT
        h.account_id, h.instance_uuid, 'restarted', NULL, NULL, h.after_at, h.first_seen_at
    FROM instance_history h
    JOIN instance_status s ON s.status = h.status
    WHERE s.state = 'restarting' AND h.version > 1
    UNION ALL
    SELECT
        h.account_id, h.instance_uuid, k.event,
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
        h.after_at, h.first_seen_at
    FROM instance_history h
    JOIN instance_history p
        ON p.account_id = h.account_id AND p.instance_uuid = h.instance_uuid
        AND p.version = h.version - 1
    CROSS JOIN (
        SELECT 'retitled' AS event UNION ALL SELECT 'gpu_changed' UNION ALL SELECT 'image_changed'
        UNION ALL SELECT 'charging_changed' UNION ALL SELECT 'save_image_changed'
        UNION ALL SELECT 'timer_set' UNION ALL SELECT 'timer_cleared'
    ) k
    WHERE
        (k.event = 'retitled' AND COALESCE(h.title, '') <> COALESCE(p.title, ''))
        OR (
            k.event = 'gpu_changed' AND (
                COALESCE(h.gpu_nums, -1) <> COALESCE(p.gpu_nums, -1)
                OR COALESCE(h.gpu_name, '') <> COALESCE(p.gpu_name, '')
                OR COALESCE(h.gpu_uuid, '') <> COALESCE(p.gpu_uuid, '')
            )
        )
        OR (
            k.event = 'image_changed' AND (
                COALESCE(h.image_name, '') <> COALESCE(p.image_name, '')
                OR COALESCE(h.image_tag, '') <> COALESCE(p.image_tag, '')
                OR COALESCE(h.image_uuid, '') <> COALESCE(p.image_uuid, '')
            )
        )
        OR (
            k.event = 'charging_changed'
            AND COALESCE(h.charging_type, -1) <> COALESCE(p.charging_type, -1)
        )
        OR (
            k.event = 'save_image_changed'
            AND COALESCE(h.save_image_status, -1) <> COALESCE(p.save_image_status, -1)
        )
        OR (
            k.event = 'timer_set' AND COALESCE(h.shutdown_enabled, FALSE)
            AND NOT COALESCE(p.shutdown_enabled, FALSE)
        )
        OR (
            k.event = 'timer_cleared' AND COALESCE(p.shutdown_enabled, FALSE)
            AND NOT COALESCE(h.shutdown_enabled, FALSE)
        )
) e
JOIN account a ON a.account_id = e.account_id
JOIN instance i ON i.account_id = e.account_id AND i.instance_uuid = e.instance_uuid
