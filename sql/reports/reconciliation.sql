-- Reconciliation: the bill against the estimate, each difference with its cause. By month or cause the
-- days are added up; a month's cause is that of its largest difference. Within the bounds there is
-- nothing to explain. Many days `unexplained` or `price` ask for: chenyu-etl doctor billing.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, cause]
-- @column account {text} the account's name
-- @column what {text} the day, month or cause
-- @column billed_yuan {unit=yuan, total} charged for that time
-- @column cash_yuan {unit=yuan, total} of it, from the balance
-- @column card_yuan {unit=yuan, total} of it, from compute cards
-- @column estimated_yuan {unit=yuan, total} cost by the best estimate
-- @column estimated_yuan_min {unit=yuan, total} at least
-- @column estimated_yuan_max {unit=yuan, total} at most
-- @column difference_yuan {unit=yuan, total, keep} billed less estimated
-- @column cause {text, keep} within_bounds, correction, unsettled, no_instance, workflow, prepaid, unread, price, coverage_gap, unexplained
-- @column awaiting_yuan {unit=yuan, total} of the bill, lines that the source no longer lists; one more whole reading and they count no longer
-- @column corrected_yuan {unit=yuan, total} what corrections took from the bill, no longer in it: lines that the source took back, less those in their place
-- @column no_instance_yuan {unit=yuan, total} of the bill, what no usage explains
-- @column settled_percent {unit=%} share of the time that the bill reaches
WITH unseen AS unseen_in_period(),
bills AS (
    SELECT * FROM _bill_window
    WHERE in_period(day)
        AND account_chosen(account)
),
costs AS (
    SELECT * FROM _cost_line
    WHERE in_period(day)
        AND account_chosen(account)
    UNION ALL
    SELECT * FROM _cost_unseen(unseen AS _usage_unseen_part) c
),
reconciled AS reconciliation_daily(bills AS _bill_window, costs AS _cost_line),
labelled AS (
    SELECT
        d.*,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(d.day AS TEXT)
            WHEN 'month' THEN d.month
            ELSE d.cause
        END AS what
    FROM reconciled d
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
    yuan(sum_of(l.billed_microcny)) AS billed_yuan,
    yuan(sum_of(l.billed_cash_microcny)) AS cash_yuan,
    yuan(sum_of(l.billed_card_microcny)) AS card_yuan,
    yuan(sum_of(l.estimated_microcny)) AS estimated_yuan,
    yuan(sum_of(l.estimated_min_microcny)) AS estimated_yuan_min,
    yuan(sum_of(l.estimated_max_microcny)) AS estimated_yuan_max,
    yuan(sum_of(l.difference_microcny)) AS difference_yuan,
    r.cause,
    yuan(sum_of(l.awaiting_microcny)) AS awaiting_yuan,
    yuan(sum_of(l.corrected_microcny)) AS corrected_yuan,
    yuan(sum_of(l.no_instance_microcny)) AS no_instance_yuan,
    sum_of(CAST(l.settled_percent * 100 AS BIGINT)) / COUNT(*) / 100.0 AS settled_percent
FROM labelled l
JOIN ranked r ON r.account = l.account AND r.what = l.what AND r.place = 1
GROUP BY l.account, l.what, r.cause
ORDER BY
    CASE WHEN CAST(:by AS TEXT) = 'cause' THEN NULL ELSE l.what END,
    SUM(ABS(l.difference_microcny)) DESC, l.account, l.what
