-- Stored volume of private images by day of the reporting time zone: for how long each was kept, surely at least and at
-- most, and that times its size. It is counted from the first poll of images on, to the newest complete one. What
-- else is stored, such as disks of instances, the source does not list, and whether any of it costs something is not
-- known.
-- @column account the account's name
-- @column image_uuid identity; the image_uuid of instances
-- @column size_gb its size, gigabytes; null: not known
-- @column stored_min_s seconds of the day for which it was kept, at least
-- @column stored_max_s at most
-- @column gb_hours_min gigabytes times hours, at least
-- @column gb_hours_max at most
SELECT
    account,
    day,
    image_uuid,
    title,
    pod_uuid,
    size_mb,
    size_mb / 1000.0 AS size_gb,
    stored_min_s,
    stored_max_s,
    CAST(in_hours(stored_min_s) * size_mb / 1000.0 AS DOUBLE PRECISION) AS gb_hours_min,
    CAST(in_hours(stored_max_s) * size_mb / 1000.0 AS DOUBLE PRECISION) AS gb_hours_max,
    periods_of(l.day)
FROM (
    SELECT
        k.account,
        c.day,
        k.image_uuid,
        k.title,
        k.pod_uuid,
        k.size_mb,
        later(earlier(k.until_s, c.ends_s) - later(k.from_s, c.starts_s), 0) AS stored_min_s,
        earlier(k.until_max_s, c.ends_s) - later(k.from_min_s, c.starts_s) AS stored_max_s
    FROM (
        SELECT
            v.account,
            v.image_uuid,
            v.title,
            v.pod_uuid,
            v.size_mb,
            -- made while we looked: it was there from that very moment on
            CASE WHEN v.made_s > v.after_s AND v.made_s <= v.seen_s THEN v.made_s ELSE v.seen_s END AS from_s,
            CASE WHEN v.made_s > v.after_s AND v.made_s <= v.seen_s THEN v.made_s ELSE v.after_s END AS from_min_s,
            v.until_s,
            v.until_max_s
        FROM (
            SELECT
                a.name AS account,
                i.uuid AS image_uuid,
                i.title,
                i.pod_uuid,
                i.size_mb,
                epoch(i.create_time) AS made_s,
                epoch(i.first_seen_at) AS seen_s,
                epoch(COALESCE(i.after_at, i.first_seen_at)) AS after_s,
                epoch(COALESCE(i.last_seen_at, h.last_at)) AS until_s,
                epoch(COALESCE(i.ended_at, i.missing_since, h.last_at)) AS until_max_s
            FROM private_image i
            JOIN account a ON a.account_id = i.account_id
            LEFT JOIN (
                SELECT account_id, MAX(started_at) AS last_at
                FROM sync_run
                WHERE resource = 'images' AND outcome = 'complete'
                GROUP BY account_id
            ) h ON h.account_id = i.account_id
        ) v
    ) k
    JOIN calendar_day c ON c.starts_s < k.until_max_s AND c.ends_s > k.from_min_s
) l
WHERE stored_max_s > 0
