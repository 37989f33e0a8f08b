-- Tags of each instance while it had them: those that a rule gives, else those in brackets in its title. A tag
-- of a title counts from when the title was first seen; the first title counts for all time before it.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column tag the key of the tag: team
-- @column value its value: vision
-- @column since from when on; null: since it was first seen, and before
-- @column until until when, not included; null: it still has it
-- @column since_s from when on, epoch seconds; null likewise
-- @column until_s until when, epoch seconds; null likewise
SELECT
    a.name AS account,
    s.instance_uuid,
    i.title,
    s.tag,
    s.value,
    instant(NULLIF(s.starts_s, 0)) AS since,
    instant(NULLIF(s.ends_s, {FOREVER_S})) AS until,
    NULLIF(s.starts_s, 0) AS since_s,
    NULLIF(s.ends_s, {FOREVER_S}) AS until_s
FROM (
    SELECT account_id, instance_uuid, tag, value, MIN(starts_s) AS starts_s, MAX(ends_s) AS ends_s
    FROM (
        SELECT p.*, SUM(is_new) OVER (
            PARTITION BY account_id, instance_uuid, tag ORDER BY starts_s ROWS UNBOUNDED PRECEDING
        ) AS island
        FROM (
            SELECT
                c.*,
                -- another payer alone begins no other time of a tag
                CASE
                    WHEN LAG(ends_s) OVER times = starts_s AND LAG(value) OVER times = value THEN 0
                    ELSE 1
                END AS is_new
            FROM (
                SELECT
                    w.account_id,
                    w.instance_uuid,
                    w.starts_s,
                    w.ends_s,
                    before(json_text(s), ':') AS tag,
                    after(json_text(s), ':') AS value
                FROM allocation w
                CROSS JOIN json_items(pairs_of(w.tags)) s
                WHERE w.tags IS NOT NULL
            ) c
            WINDOW times AS (PARTITION BY account_id, instance_uuid, tag ORDER BY starts_s)
        ) p
    ) numbered
    GROUP BY account_id, instance_uuid, tag, value, island
) s
JOIN account a ON a.account_id = s.account_id
JOIN instance i ON is_instance_of(i, s)
