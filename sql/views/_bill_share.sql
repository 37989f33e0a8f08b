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
    b.is_card,
    CASE
        WHEN w.weight IS NULL THEN b.billed_microcny
        ELSE long_share(b.billed_microcny, w.to_first, w.to_second)
            - long_share(b.billed_microcny, w.from_first, w.from_second)
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
        first_of(upto, all_of) AS to_first,
        second_of(upto, all_of) AS to_second,
        first_of((upto - weight), all_of) AS from_first,
        second_of((upto - weight), all_of) AS from_second
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
            cost_microcny AS weight,
            CAST(
                SUM(cost_microcny) OVER (
                    PARTITION BY account_id, day, kind
                    ORDER BY
                        instance_uuid, title, COALESCE(project, ''), COALESCE(owner, ''),
                        COALESCE(cost_centre, '')
                    ROWS UNBOUNDED PRECEDING
                ) AS BIGINT
            ) AS upto,
            CAST(SUM(cost_microcny) OVER (PARTITION BY account_id, day, kind) AS BIGINT) AS all_of
        FROM _cost_line
        WHERE cost_microcny > 0
    ) s
) w ON w.account_id = b.account_id AND w.day = b.day AND w.kind = b.spread_over
