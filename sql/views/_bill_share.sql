-- The shares of the bill that cost lines get: `bill_attributed_daily` before it is added up by instance.
-- Each line takes what lies between the sums of weights before it and with it, so however the lines of an
-- instance are cut, they add up to the same.
-- @column account the account's name
-- @column instance_uuid identity; null: it can be attributed to none
-- @column title the user's name for it
-- @column is_card 1 if it was paid by card, else 0
-- @column part_microcny the share; millionths of a yuan
WITH billed_days AS (
    SELECT
        account_id,
        account,
        day,
        spread_over,
        by_card(charge_channel, 1) AS is_card,
        sum_of(amount_microcny) AS billed_microcny
    FROM _bill_window
    GROUP BY
        account_id, account, day, spread_over, by_card(charge_channel, 1)
),
weights AS (
    SELECT account_id, day, kind, sum_of(cost_microcny) AS all_of
    FROM _cost_line
    -- usage at an unknown price has no weight, and gets nothing
    WHERE cost_microcny > 0
    -- the day first, here and below: SQLite sorts, and a first key that tells most lines apart is compared alone
    GROUP BY day, account_id, kind
),
weighed AS MATERIALIZED (
    -- a few for each day: joined with these, the lines of cost are read once, in any order
    SELECT b.*, w.all_of
    FROM billed_days b
    LEFT JOIN weights w ON w.account_id = b.account_id AND w.day = b.day AND w.kind = b.spread_over
)
SELECT
    s.account,
    s.day,
    s.instance_uuid,
    s.title,
    s.project,
    s.owner,
    s.cost_centre,
    s.tags,
    s.is_card,
    share_within(s.billed_microcny, s) AS part_microcny
FROM (
    SELECT
        l.*,
        bounds_of_share(l)
    FROM (
        SELECT b.account, b.is_card, b.billed_microcny, b.all_of, c.*
        FROM (
            SELECT
                account_id,
                day,
                kind,
                instance_uuid,
                title,
                project,
                owner,
                cost_centre,
                tags,
                cost_microcny AS weight,
                CAST(
                    SUM(cost_microcny) OVER (
                        PARTITION BY day, account_id, kind
                        -- all that tells lines apart: in another order fen would move between them with each
                        -- reading
                        ORDER BY
                            instance_uuid, title, COALESCE(project, ''), COALESCE(owner, ''),
                            COALESCE(cost_centre, ''), COALESCE(tags, ''), cost_microcny
                        ROWS UNBOUNDED PRECEDING
                    ) AS BIGINT
                ) AS upto
            FROM _cost_line
            WHERE cost_microcny > 0
        ) c
        -- in this order SQLite keeps no copy of the lines with their sums
        CROSS JOIN weighed b
        WHERE b.account_id = c.account_id AND b.day = c.day AND b.spread_over = c.kind
    ) l
) s
UNION ALL
-- nothing to share it out by: it stays whole, and is of no instance
SELECT account, day, NULL, NULL, NULL, NULL, NULL, NULL, is_card, billed_microcny
FROM weighed
WHERE all_of IS NULL
