-- Reconciliation: the bill against the estimate, each difference with its cause. By month or cause the
-- days are added up; a month's cause is that of its largest difference. Within the bounds there is
-- nothing to explain. Many days `unexplained` or `price` ask for: chenyu-etl doctor billing.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, cause]
-- @column account {zh=账户} the account's name
-- @column what {zh=对象} the day, month or cause
-- @column billed_yuan {zh=账单金额, unit=yuan, total} charged for that time
-- @column cash_yuan {zh=余额支付, unit=yuan, total} of it, from the balance
-- @column card_yuan {zh=算力卡支付, unit=yuan, total} of it, from compute cards
-- @column estimated_yuan {zh=估算金额, unit=yuan, total} cost by the best estimate
-- @column estimated_yuan_min {zh=至少, unit=yuan, total} at least
-- @column estimated_yuan_max {zh=至多, unit=yuan, total} at most
-- @column difference_yuan {zh=差额, unit=yuan, total} billed less estimated
-- @column cause {zh=原因} within_bounds, unsettled, no_instance, prepaid, price, coverage_gap, unexplained
-- @column no_instance_yuan {zh=无实例金额, unit=yuan, total} of the bill, what no usage explains
-- @column settled_percent {zh=结算覆盖率, unit=%} share of the time that the bill reaches
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
gaps AS (SELECT account, gap_from_s, gap_to_s FROM sync_gap),
reconciled AS (
    SELECT
        account,
        day,
        billed_microcny,
        billed_cash_microcny,
        billed_card_microcny,
        estimated_microcny,
        estimated_min_microcny,
        estimated_max_microcny,
        difference_microcny,
        no_instance_microcny,
        prepaid_difference_microcny,
        slack_microcny,
        settled_percent,
        lines,
        CASE
            WHEN difference_microcny >= estimated_min_microcny - estimated_microcny - slack_microcny
                AND difference_microcny <= estimated_max_microcny - estimated_microcny + slack_microcny
            THEN 'within_bounds'
            WHEN observed_from_s >= ends_s THEN 'coverage_gap'
            WHEN (is_explained_running = 1 OR unsettled_microcny > 0) AND no_instance_microcny <> 0
                AND ABS(no_instance_microcny) >= ABS(prepaid_difference_microcny)
                AND ABS(no_instance_microcny) >= unsettled_microcny
            THEN 'no_instance'
            WHEN (is_explained_running = 1 OR unsettled_microcny > 0)
                AND prepaid_difference_microcny <> 0
                AND ABS(prepaid_difference_microcny) >= unsettled_microcny
            THEN 'prepaid'
            WHEN unsettled_microcny > 0 THEN 'unsettled'
            WHEN unpriced_s > 0 OR assumed = 1 THEN 'price'
            WHEN difference_microcny > 0 AND (
                observed_from_s > starts_s
                OR EXISTS (
                    SELECT 1 FROM gaps g
                    WHERE g.account = r.account AND g.gap_to_s > r.starts_s AND g.gap_from_s < r.ends_s
                )
            )
            THEN 'coverage_gap'
            WHEN is_explained_running = 0 AND no_instance_microcny <> 0
                AND ABS(running_difference_microcny) < ABS(no_instance_microcny)
            THEN 'no_instance'
            ELSE 'unexplained'
        END AS cause
    FROM (
        SELECT
            e.*,
            CASE
                WHEN is_explained_running = 0 AND reach_s < ends_s + 3600
                    AND running_difference_microcny < 0
                THEN -running_difference_microcny
                ELSE 0
            END AS unsettled_microcny
        FROM (
            SELECT
                d.*,
                d.billed_microcny - d.estimated_microcny AS difference_microcny,
                d.billed_running_microcny - d.running_microcny AS running_difference_microcny,
                d.billed_held_microcny - (d.estimated_microcny - d.running_microcny)
                    AS prepaid_difference_microcny,
                CASE
                    WHEN d.billed_running_microcny >= d.running_min_microcny - d.slack_microcny
                        AND d.billed_running_microcny <= d.running_max_microcny + d.slack_microcny
                    THEN 1
                    ELSE 0
                END AS is_explained_running,
                c.starts_s,
                c.ends_s,
                COALESCE(b.reach_s, 0) AS reach_s,
                COALESCE(o.first_s, c.ends_s) AS observed_from_s,
                CASE
                    WHEN b.reach_s IS NULL OR b.reach_s <= c.starts_s THEN 0.0
                    WHEN b.reach_s >= c.ends_s THEN 100.0
                    ELSE (b.reach_s - c.starts_s) * 10000 / (c.ends_s - c.starts_s) / 100.0
                END AS settled_percent
            FROM (
                SELECT
                    account_id,
                    account,
                    day,
                    CAST(SUM(billed) AS BIGINT) AS billed_microcny,
                    CAST(SUM(billed - billed_card) AS BIGINT) AS billed_cash_microcny,
                    CAST(SUM(billed_card) AS BIGINT) AS billed_card_microcny,
                    CAST(SUM(billed_running) AS BIGINT) AS billed_running_microcny,
                    CAST(SUM(billed_held) AS BIGINT) AS billed_held_microcny,
                    CAST(SUM(billed - billed_running - billed_held) AS BIGINT) AS no_instance_microcny,
                    CAST(SUM(slack) AS BIGINT) AS slack_microcny,
                    CAST(SUM(lines) AS BIGINT) AS lines,
                    CAST(SUM(estimated) AS BIGINT) AS estimated_microcny,
                    CAST(SUM(estimated_min) AS BIGINT) AS estimated_min_microcny,
                    CAST(SUM(estimated_max) AS BIGINT) AS estimated_max_microcny,
                    CAST(SUM(running) AS BIGINT) AS running_microcny,
                    CAST(SUM(running_min) AS BIGINT) AS running_min_microcny,
                    CAST(SUM(running_max) AS BIGINT) AS running_max_microcny,
                    CAST(SUM(unpriced) AS BIGINT) AS unpriced_s,
                    MAX(assumed) AS assumed
                FROM (
                    SELECT
                        account_id,
                        account,
                        day,
                        SUM(amount_microcny) AS billed,
                        SUM(CASE WHEN charge_channel = 2 THEN amount_microcny ELSE 0 END) AS billed_card,
                        SUM(CASE WHEN spread_over = 'running' THEN amount_microcny ELSE 0 END) AS billed_running,
                        SUM(CASE WHEN spread_over = 'held' THEN amount_microcny ELSE 0 END) AS billed_held,
                        SUM(cut_microcny + 10000) AS slack,
                        COUNT(*) AS lines,
                        0 AS estimated,
                        0 AS estimated_min,
                        0 AS estimated_max,
                        0 AS running,
                        0 AS running_min,
                        0 AS running_max,
                        0 AS unpriced,
                        0 AS assumed
                    FROM bills
                    GROUP BY account_id, account, day
                    UNION ALL
                    SELECT
                        account_id,
                        account,
                        day,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        SUM(COALESCE(cost_microcny, 0)),
                        SUM(COALESCE(cost_min_microcny, 0)),
                        SUM(COALESCE(cost_max_microcny, 0)),
                        SUM(CASE WHEN kind = 'running' THEN COALESCE(cost_microcny, 0) ELSE 0 END),
                        SUM(CASE WHEN kind = 'running' THEN COALESCE(cost_min_microcny, 0) ELSE 0 END),
                        SUM(CASE WHEN kind = 'running' THEN COALESCE(cost_max_microcny, 0) ELSE 0 END),
                        SUM(unpriced_max_s),
                        MAX(CASE WHEN price_source = 'list_assumed' AND used_s > 0 THEN 1 ELSE 0 END)
                    FROM costs
                    GROUP BY account_id, account, day
                ) both_sides
                GROUP BY account_id, account, day
            ) d
            JOIN calendar_day c ON c.day = d.day
            LEFT JOIN bill_reach b ON b.account_id = d.account_id
            LEFT JOIN sync_span o ON o.account = d.account
        ) e
    ) r
),
days AS (
    SELECT r.*, c.month
    FROM reconciled r
    JOIN calendar_day c ON c.day = r.day
),
labelled AS (
    SELECT
        d.*,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(d.day AS TEXT)
            WHEN 'month' THEN d.month
            ELSE d.cause
        END AS what
    FROM days d
),
ranked AS (
    SELECT
        account,
        what,
        cause,
        ROW_NUMBER() OVER (
            PARTITION BY account, what
            ORDER BY
                CASE WHEN cause = 'within_bounds' THEN 1 ELSE 0 END,
                SUM(ABS(difference_microcny)) DESC, cause
        ) AS place
    FROM labelled
    GROUP BY account, what, cause
)
SELECT
    l.account,
    l.what,
    CAST(SUM(l.billed_microcny) AS BIGINT) / 1000000.0 AS billed_yuan,
    CAST(SUM(l.billed_cash_microcny) AS BIGINT) / 1000000.0 AS cash_yuan,
    CAST(SUM(l.billed_card_microcny) AS BIGINT) / 1000000.0 AS card_yuan,
    CAST(SUM(l.estimated_microcny) AS BIGINT) / 1000000.0 AS estimated_yuan,
    CAST(SUM(l.estimated_min_microcny) AS BIGINT) / 1000000.0 AS estimated_yuan_min,
    CAST(SUM(l.estimated_max_microcny) AS BIGINT) / 1000000.0 AS estimated_yuan_max,
    CAST(SUM(l.difference_microcny) AS BIGINT) / 1000000.0 AS difference_yuan,
    r.cause,
    CAST(SUM(l.no_instance_microcny) AS BIGINT) / 1000000.0 AS no_instance_yuan,
    CAST(SUM(CAST(l.settled_percent * 100 AS BIGINT)) AS BIGINT) / COUNT(*) / 100.0 AS settled_percent
FROM labelled l
JOIN ranked r ON r.account = l.account AND r.what = l.what AND r.place = 1
GROUP BY l.account, l.what, r.cause
ORDER BY
    CASE WHEN CAST(:by AS TEXT) = 'cause' THEN NULL ELSE l.what END,
    SUM(ABS(l.difference_microcny)) DESC, l.account, l.what
