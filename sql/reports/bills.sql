-- Charges of the bill, by the time that each line settles. By instance, project, owner or tag it is attributed: no
-- bill line names an instance, so each day's lines are shared out in proportion to what the instances
-- cost by estimate; what cannot be attributed is a line of its own.
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, channel, instance, project, owner, tag:KEY]
-- @column account {text} the account's name
-- @column what {text} what the line is about
-- @column instance_uuid {text} identity, by instance
-- @column billed_yuan {unit=yuan, total} charged
-- @column cash_yuan {unit=yuan, total} of it, from the balance
-- @column card_yuan {unit=yuan, total} of it, from compute cards
-- @column how {text} billed: by the lines themselves; attributed: in proportion to estimated cost
WITH bills AS (
    SELECT * FROM _bill_window
    WHERE in_period(day)
        AND account_chosen(account)
),
costs AS (
    SELECT
        account_id, account, day, kind, instance_uuid, title, project, owner, cost_centre, tags, cost_microcny
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
            ELSE payer_by(d.project, d.owner, d.cost_centre, d.tags)
        END,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN d.instance_uuid END,
        d.part_microcny,
        d.part_microcny * (1 - d.is_card),
        d.part_microcny * d.is_card,
        'attributed'
    FROM attributed d
    WHERE CAST(:by AS TEXT) = 'instance' OR is_by_payer()
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
GROUP BY what, instance_uuid, account, how
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'month') THEN what END,
    SUM(amount_microcny) DESC, account, what, instance_uuid
