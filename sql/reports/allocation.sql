-- Allocation: who pays for what was used, by the estimate, and the part of the bill that is attributed
-- to it. What no rule matches, and what cannot be attributed, are lines of their own.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name
-- @column project {zh=项目} project that pays
-- @column owner {zh=负责人} who it is for
-- @column cost_centre {zh=成本中心} cost centre
-- @column instances {zh=实例数, int} instances
-- @column estimated_yuan {zh=估算金额, unit=yuan, total} cost by the best estimate
-- @column estimated_yuan_min {zh=至少, unit=yuan, total} at least
-- @column estimated_yuan_max {zh=至多, unit=yuan, total} at most
-- @column billed_yuan {zh=分摊账单, unit=yuan, total} of the bill, attributed
-- @column cash_yuan {zh=余额支付, unit=yuan, total} of it, from the balance
-- @column card_yuan {zh=算力卡支付, unit=yuan, total} of it, from compute cards
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
        account,
        project,
        owner,
        cost_centre,
        instance_uuid,
        cost_microcny,
        cost_min_microcny,
        cost_max_microcny,
        0 AS amount_microcny,
        0 AS cash_microcny,
        0 AS card_microcny
    FROM costs
    UNION ALL
    SELECT
        account,
        CASE WHEN instance_uuid IS NULL THEN '(cannot be attributed)' ELSE project END,
        owner,
        cost_centre,
        instance_uuid,
        NULL,
        NULL,
        NULL,
        amount_microcny,
        cash_microcny,
        card_microcny
    FROM attributed
)
SELECT
    account,
    COALESCE(project, '(no rule)') AS project,
    owner,
    cost_centre,
    COUNT(DISTINCT instance_uuid) AS instances,
    CAST(SUM(cost_microcny) AS BIGINT) / 1000000.0 AS estimated_yuan,
    CAST(SUM(cost_min_microcny) AS BIGINT) / 1000000.0 AS estimated_yuan_min,
    CAST(SUM(cost_max_microcny) AS BIGINT) / 1000000.0 AS estimated_yuan_max,
    CAST(SUM(amount_microcny) AS BIGINT) / 1000000.0 AS billed_yuan,
    CAST(SUM(cash_microcny) AS BIGINT) / 1000000.0 AS cash_yuan,
    CAST(SUM(card_microcny) AS BIGINT) / 1000000.0 AS card_yuan
FROM lines
GROUP BY account, project, owner, cost_centre
ORDER BY
    COALESCE(SUM(cost_microcny), 0) DESC, account, COALESCE(project, ''), COALESCE(owner, ''),
    COALESCE(cost_centre, '')
