-- Allocation: who pays for what was used, by the estimate, and the part of the bill that is attributed
-- to it. Usage that no rule matches, and amounts that cannot be attributed, are lines of their own. If
-- a rename that nobody saw happen decides who pays, the bounds of both hold the time in question.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column project {text} project that pays
-- @column owner {text} who it is for
-- @column cost_centre {text} cost centre
-- @column instances {int} instances
-- @column estimated_yuan {unit=yuan, total, keep} cost by the best estimate
-- @column estimated_yuan_min {unit=yuan, total} at least
-- @column estimated_yuan_max {unit=yuan, total} at most
-- @column billed_yuan {unit=yuan, total, keep} of the bill, attributed
-- @column cash_yuan {unit=yuan, total} of it, from the balance
-- @column card_yuan {unit=yuan, total} of it, from compute cards
WITH unseen AS unseen_in_period(),
bills AS (
    SELECT * FROM _bill_window
    WHERE in_period(day)
        AND account_chosen(account)
),
costs AS (
    SELECT
        account_id, account, day, kind, instance_uuid, title, project, owner, cost_centre, cost_microcny,
        cost_min_microcny, cost_max_microcny
    FROM _cost_line
    WHERE in_period(day)
        AND account_chosen(account)
    UNION ALL
    SELECT
        account_id, account, day, kind, instance_uuid, title, project, owner, cost_centre, cost_microcny,
        cost_min_microcny, cost_max_microcny
    FROM _cost_unseen(unseen AS _usage_unseen_part) c
),
attributed AS _bill_share(bills AS _bill_window, costs AS _cost_line),
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
        account, project, owner, cost_centre, instance_uuid, cost_microcny, cost_min_microcny, cost_max_microcny,
        0, 0, 0
    FROM _cost_doubt
    WHERE in_period(day) AND account_chosen(account)
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
        part_microcny,
        part_microcny * (1 - is_card),
        part_microcny * is_card
    FROM attributed
)
SELECT
    account,
    COALESCE(project, '(no rule)') AS project,
    owner,
    cost_centre,
    COUNT(DISTINCT instance_uuid) AS instances,
    yuan(sum_of(cost_microcny)) AS estimated_yuan,
    yuan(sum_of(cost_min_microcny)) AS estimated_yuan_min,
    yuan(sum_of(cost_max_microcny)) AS estimated_yuan_max,
    yuan(sum_of(amount_microcny)) AS billed_yuan,
    yuan(sum_of(cash_microcny)) AS cash_yuan,
    yuan(sum_of(card_microcny)) AS card_yuan
FROM lines
GROUP BY account, project, owner, cost_centre
ORDER BY
    COALESCE(SUM(cost_microcny), 0) DESC, account, COALESCE(project, ''), COALESCE(owner, ''),
    COALESCE(cost_centre, '')
