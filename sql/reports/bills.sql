-- What was charged, by the time that each line settles. By instance or project it is attributed: no
-- bill line names an instance, so each day's lines are shared out in proportion to what the instances
-- cost by estimate; what cannot be attributed is a line of its own.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, channel, instance, project, owner]
-- @column account {zh=账户} the account's name
-- @column what {zh=对象} what the line is about
-- @column instance_uuid {zh=实例ID} identity, by instance
-- @column billed_yuan {zh=账单金额, unit=yuan, total} charged
-- @column cash_yuan {zh=余额支付, unit=yuan, total} of it, from the balance
-- @column card_yuan {zh=算力卡支付, unit=yuan, total} of it, from compute cards
-- @column how {zh=依据} billed: by the lines themselves; attributed: in proportion to estimated cost
WITH bills AS (
    SELECT * FROM bill_part
    WHERE CAST(day AS TEXT) >= CAST(:from_day AS TEXT) AND CAST(day AS TEXT) <= CAST(:to_day AS TEXT)
        AND (CAST(:account AS TEXT) IS NULL OR account = CAST(:account AS TEXT))
),
costs AS (
    SELECT * FROM cost_line
    WHERE CAST(day AS TEXT) >= CAST(:from_day AS TEXT) AND CAST(day AS TEXT) <= CAST(:to_day AS TEXT)
        AND (CAST(:account AS TEXT) IS NULL OR account = CAST(:account AS TEXT))
),
attributed AS (
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
                    FROM bills
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
                    FROM costs
                    GROUP BY account_id, day, kind, instance_uuid, title, project, owner, cost_centre
                    HAVING SUM(cost_microcny) > 0
                ) c ON c.account_id = b.account_id AND c.day = b.day AND c.kind = b.spread_over
            ) w
        ) f
    ) parts
    GROUP BY account, day, instance_uuid, title, project, owner, cost_centre
),
lines AS (
    SELECT
        b.account,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(b.day AS TEXT)
            WHEN 'month' THEN c.month
            ELSE CASE b.charge_channel WHEN 1 THEN 'balance' WHEN 2 THEN 'card' ELSE '(unknown)' END
        END AS what,
        NULL AS instance_uuid,
        b.amount_microcny,
        CASE WHEN b.charge_channel = 2 THEN 0 ELSE b.amount_microcny END AS cash_microcny,
        CASE WHEN b.charge_channel = 2 THEN b.amount_microcny ELSE 0 END AS card_microcny,
        'billed' AS how
    FROM bill_daily b
    JOIN calendar_day c ON c.day = b.day
    WHERE CAST(:by AS TEXT) IN ('day', 'month', 'channel')
        AND CAST(b.day AS TEXT) >= CAST(:from_day AS TEXT) AND CAST(b.day AS TEXT) <= CAST(:to_day AS TEXT)
        AND (CAST(:account AS TEXT) IS NULL OR b.account = CAST(:account AS TEXT))
    UNION ALL
    SELECT
        d.account,
        CASE
            WHEN d.instance_uuid IS NULL THEN '(cannot be attributed)'
            WHEN CAST(:by AS TEXT) = 'instance' THEN d.title
            WHEN CAST(:by AS TEXT) = 'project' THEN COALESCE(d.project, '(no rule)')
            ELSE COALESCE(d.owner, '(no rule)')
        END,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN d.instance_uuid END,
        d.amount_microcny,
        d.cash_microcny,
        d.card_microcny,
        'attributed'
    FROM attributed d
    WHERE CAST(:by AS TEXT) IN ('instance', 'project', 'owner')
)
SELECT
    account,
    what,
    instance_uuid,
    CAST(SUM(amount_microcny) AS BIGINT) / 1000000.0 AS billed_yuan,
    CAST(SUM(cash_microcny) AS BIGINT) / 1000000.0 AS cash_yuan,
    CAST(SUM(card_microcny) AS BIGINT) / 1000000.0 AS card_yuan,
    how
FROM lines
GROUP BY account, what, instance_uuid, how
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'month') THEN what END,
    SUM(amount_microcny) DESC, account, what, instance_uuid
