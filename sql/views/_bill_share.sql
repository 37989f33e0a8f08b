-- The shares of the bill that cost lines get: `bill_attributed_daily` before it is added up by instance.
-- Each line takes what lies between the sums of weights before it and with it, so however the lines of an
-- instance are cut, they add up to the same.
-- @column account the account's name
-- @column instance_uuid identity; null: it can be attributed to none
-- @column title the user's name for it
-- @column is_card 1 if it was paid by card, else 0
-- @column part_microcny the share; millionths of a yuan
SELECT
    b.account,
    b.day,
    w.instance_uuid,
    w.title,
    w.project,
    w.owner,
    w.cost_centre,
    w.tags,
    b.is_card,
    CASE
        -- nothing to share it out by: it stays whole, and is of no instance
        WHEN w.weight IS NULL THEN b.billed_microcny
        ELSE share_within(b.billed_microcny, w)
    END AS part_microcny
FROM (
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
) b
LEFT JOIN (
    SELECT
        s.*,
        bounds_of_share(s)
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
                    PARTITION BY account_id, day, kind
                    -- all that tells lines apart: in another order fen would move between them with each
                    -- reading
                    ORDER BY
                        instance_uuid, title, COALESCE(project, ''), COALESCE(owner, ''),
                        COALESCE(cost_centre, ''), COALESCE(tags, '')
                    ROWS UNBOUNDED PRECEDING
                ) AS BIGINT
            ) AS upto,
            CAST(SUM(cost_microcny) OVER (PARTITION BY account_id, day, kind) AS BIGINT) AS all_of
        FROM _cost_line
        -- usage at an unknown price has no weight, and gets nothing
        WHERE cost_microcny > 0
    ) s
) w ON w.account_id = b.account_id AND w.day = b.day AND w.kind = b.spread_over
