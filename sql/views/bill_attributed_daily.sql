-- The bill attributed to instances: no bill names one, so each day's lines are shared out in
-- proportion to what the instances cost by estimate, lines of running time over those that ran, lines
-- of prepaid time over those that are held. What nothing can take is on a line without an instance. All
-- lines of a day add up to its bill to the millionth. An attribution, not a fact.
-- @column account the account's name
-- @column instance_uuid identity; null: cannot be attributed
-- @column title the user's name for it
-- @column amount_microcny attributed; millionths of a yuan
-- @column cash_microcny of it, paid from the balance
-- @column card_microcny of it, paid by compute cards
-- @column amount_yuan attributed, yuan
SELECT
    account,
    day,
    instance_uuid,
    title,
    project,
    owner,
    cost_centre,
    CAST(SUM(part_microcny) AS BIGINT) AS amount_microcny,
    CAST(SUM(CASE WHEN is_card = 0 THEN part_microcny ELSE 0 END) AS BIGINT) AS cash_microcny,
    CAST(SUM(CASE WHEN is_card = 1 THEN part_microcny ELSE 0 END) AS BIGINT) AS card_microcny,
    CAST(SUM(part_microcny) AS BIGINT) / 1000000.0 AS amount_yuan
FROM (
    SELECT
        f.*,
        CASE
            WHEN weight IS NULL THEN billed_microcny
            -- billed x weight / all weights, by long division with digits of a million: 64 bits suffice
            ELSE (billed_microcny * to_first + billed_microcny * to_second / 1000000) / 1000000
                - (billed_microcny * from_first + billed_microcny * from_second / 1000000) / 1000000
        END AS part_microcny
    FROM (
        SELECT
            w.*,
            upto * 1000000 / all_of AS to_first,
            (upto * 1000000 - upto * 1000000 / all_of * all_of) * 1000000 / all_of AS to_second,
            (upto - weight) * 1000000 / all_of AS from_first,
            (
                (upto - weight) * 1000000 - (upto - weight) * 1000000 / all_of * all_of
            ) * 1000000 / all_of AS from_second
        FROM (
            SELECT
                b.account,
                b.day,
                b.is_card,
                b.billed_microcny,
                c.instance_uuid,
                c.title,
                c.project,
                c.owner,
                c.cost_centre,
                c.weight,
                CAST(
                    SUM(c.weight) OVER (
                        PARTITION BY b.account_id, b.day, b.spread_over, b.is_card
                        ORDER BY
                            c.instance_uuid, c.title, COALESCE(c.project, ''),
                            COALESCE(c.owner, ''), COALESCE(c.cost_centre, '')
                        ROWS UNBOUNDED PRECEDING
                    ) AS BIGINT
                ) AS upto,
                CAST(
                    SUM(c.weight) OVER (
                        PARTITION BY b.account_id, b.day, b.spread_over, b.is_card
                    ) AS BIGINT
                ) AS all_of
            FROM (
                SELECT
                    account_id,
                    account,
                    day,
                    spread_over,
                    CASE WHEN charge_channel = 2 THEN 1 ELSE 0 END AS is_card,
                    CAST(SUM(amount_microcny) AS BIGINT) AS billed_microcny
                FROM bill_window
                GROUP BY
                    account_id, account, day, spread_over,
                    CASE WHEN charge_channel = 2 THEN 1 ELSE 0 END
            ) b
            LEFT JOIN (
                SELECT
                    account_id,
                    day,
                    kind,
                    instance_uuid,
                    title,
                    project,
                    owner,
                    cost_centre,
                    CAST(SUM(cost_microcny) AS BIGINT) AS weight
                FROM cost_line
                GROUP BY account_id, day, kind, instance_uuid, title, project, owner, cost_centre
                HAVING SUM(cost_microcny) > 0
            ) c ON c.account_id = b.account_id AND c.day = b.day AND c.kind = b.spread_over
        ) w
    ) f
) parts
GROUP BY account, day, instance_uuid, title, project, owner, cost_centre
