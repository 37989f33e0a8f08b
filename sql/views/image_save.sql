-- One row for each state in which the saving of an instance's image was seen: uploading, uploaded or
-- failed, with its begin and end. It began after `not_before` and not later than `not_after`.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column state uploading, uploaded, failed; 'unknown' for unknown codes
-- @column not_before it began after this moment; null: it was so before we looked
-- @column not_after and not later than this
-- @column until when the next state was first seen, or the instance was gone; null: it still holds
-- @column not_before_s epoch seconds
-- @column not_after_s epoch seconds
-- @column until_s epoch seconds
-- @column not_after_local not_after by the clocks of the reporting time zone
-- @column until_local until by those clocks
-- @column is_first whether the instance was first seen so: nobody may have saved anything then
SELECT
    account,
    instance_uuid,
    title,
    image_name,
    image_tag,
    save_image_status,
    CASE save_image_status
        WHEN 1 THEN 'uploading'
        WHEN 2 THEN 'uploaded'
        WHEN 3 THEN 'failed'
        ELSE 'unknown'
    END AS state,
    not_before,
    not_after,
    until,
    epoch(not_before) AS not_before_s,
    epoch(not_after) AS not_after_s,
    epoch(until) AS until_s,
    flag(version = 1) AS is_first,
    local_of(epoch(not_after)) AS not_after_local,
    local_of(epoch(until)) AS until_local
FROM (
    SELECT
        a.name AS account,
        h.instance_uuid,
        h.version,
        i.title,
        h.image_name,
        h.image_tag,
        h.save_image_status,
        h.after_at AS not_before,
        h.first_seen_at AS not_after,
        COALESCE(
            (
                SELECT n.first_seen_at
                FROM instance_history n
                WHERE is_instance_of(n, h)
                    AND n.version > h.version
                    AND COALESCE(n.save_image_status, -1) <> h.save_image_status
                -- by version: for a MIN Postgres would search the versions of all instances by time
                ORDER BY n.version
                LIMIT 1
            ),
            i.gone_at
        ) AS until
    FROM instance_history h
    JOIN account a ON a.account_id = h.account_id
    JOIN instance i ON is_instance_of(i, h)
    LEFT JOIN instance_history p
        ON is_instance_of(p, h)
        AND p.version = h.version - 1
    WHERE h.save_image_status IS NOT NULL AND h.save_image_status <> 0
        AND COALESCE(p.save_image_status, -1) <> h.save_image_status
) saves
