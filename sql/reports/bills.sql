-- Charges of the bill, by the time that each line settles. By instance or project it is attributed: no
-- bill line names an instance, so each day's lines are shared out in proportion to what the instances
-- cost by estimate; what cannot be attributed is a line of its own.
-- @zh 账单，按各行结算的时间。按实例或项目时为分摊：账单行不写明实例，每天的金额按实例的估算费用比例分摊；无法
-- @zh 分摊的单独成行。
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, channel, instance, project, owner]
-- @column account {zh=账户} the account's name | 账户名称
-- @column what {zh=对象} what the line is about | 本行的对象
-- @column instance_uuid {zh=实例ID} identity, by instance | 实例标识（按实例时）
-- @column billed_yuan {zh=账单金额, unit=yuan, total} charged | 扣费
-- @column cash_yuan {zh=余额支付, unit=yuan, total} of it, from the balance | 其中由余额支付
-- @column card_yuan {zh=算力卡支付, unit=yuan, total} of it, from compute cards | 其中由算力卡支付
-- @column how {zh=依据} billed: by the lines themselves; attributed: in proportion to estimated cost | 按账单行，或按估算费用比例分摊
WITH bills AS (
    SELECT * FROM _bill_window
    WHERE in_period(day)
        AND account_chosen(account)
),
costs AS (
    SELECT
        account_id, account, day, kind, instance_uuid, title, project, owner, cost_centre, cost_microcny
    FROM _cost_line
    WHERE in_period(day)
        AND account_chosen(account)
),
attributed AS _bill_share(bills AS _bill_window, costs AS _cost_line),
lines AS (
    SELECT
        b.account,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(b.day AS TEXT)
            WHEN 'month' THEN c.month
            ELSE channel_name(b.charge_channel)
        END AS what,
        NULL AS instance_uuid,
        b.amount_microcny,
        by_balance(b.charge_channel, b.amount_microcny) AS cash_microcny,
        by_card(b.charge_channel, b.amount_microcny) AS card_microcny,
        'billed' AS how
    FROM bill_daily b
    JOIN calendar_day c ON c.day = b.day
    WHERE CAST(:by AS TEXT) IN ('day', 'month', 'channel')
        AND in_period(b.day)
        AND account_chosen(b.account)
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
        d.part_microcny,
        d.part_microcny * (1 - d.is_card),
        d.part_microcny * d.is_card,
        'attributed'
    FROM attributed d
    WHERE CAST(:by AS TEXT) IN ('instance', 'project', 'owner')
)
SELECT
    account,
    what,
    instance_uuid,
    yuan(sum_of(amount_microcny)) AS billed_yuan,
    yuan(sum_of(cash_microcny)) AS cash_yuan,
    yuan(sum_of(card_microcny)) AS card_yuan,
    how
FROM lines
GROUP BY account, what, instance_uuid, how
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'month') THEN what END,
    SUM(amount_microcny) DESC, account, what, instance_uuid
