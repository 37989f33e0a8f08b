-- Reconciliation: the bill against the estimate, each difference with its cause. By month or cause the
-- days are added up; a month's cause is that of its largest difference. Within the bounds there is
-- nothing to explain. Many days `unexplained` or `price` ask for: chenyu-etl doctor billing.
-- @zh 账单与估算的对照，每笔差额附原因。按月或按原因时逐日相加；一个月的原因是其中最大差额的原因。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, cause]
-- @column account {zh=账户} the account's name | 账户名称
-- @column what {zh=对象} the day, month or cause | 日、月或原因
-- @column billed_yuan {zh=账单金额, unit=yuan, total} charged for that time | 该时间的扣费
-- @column cash_yuan {zh=余额支付, unit=yuan, total} of it, from the balance | 其中由余额支付
-- @column card_yuan {zh=算力卡支付, unit=yuan, total} of it, from compute cards | 其中由算力卡支付
-- @column estimated_yuan {zh=估算金额, unit=yuan, total} cost by the best estimate | 最佳估计的费用
-- @column estimated_yuan_min {zh=至少, unit=yuan, total} at least | 下限
-- @column estimated_yuan_max {zh=至多, unit=yuan, total} at most | 上限
-- @column difference_yuan {zh=差额, unit=yuan, total} billed less estimated | 账单减估算
-- @column cause {zh=原因} within_bounds, correction, unsettled, no_instance, prepaid, unread, price, coverage_gap, unexplained | 差额的原因
-- @column awaiting_yuan {zh=待确认更正, unit=yuan, total} of the bill, lines that the source no longer lists; one more whole reading and they count no longer | 云平台已不再列出的账单行，再完整读取一次后不再计入
-- @column no_instance_yuan {zh=无实例金额, unit=yuan, total} of the bill, what no usage explains | 账单中没有对应用量的金额
-- @column settled_percent {zh=结算覆盖率, unit=%} share of the time that the bill reaches | 账单已覆盖的时间比例
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
    yuan(sum_of(l.no_instance_microcny)) AS no_instance_yuan,
    sum_of(CAST(l.settled_percent * 100 AS BIGINT)) / COUNT(*) / 100.0 AS settled_percent
FROM labelled l
JOIN ranked r ON r.account = l.account AND r.what = l.what AND r.place = 1
GROUP BY l.account, l.what, r.cause
ORDER BY
    CASE WHEN CAST(:by AS TEXT) = 'cause' THEN NULL ELSE l.what END,
    SUM(ABS(l.difference_microcny)) DESC, l.account, l.what
