-- Allocation: who pays for what was used, by the estimate, and the part of the bill that is attributed
-- to it. Usage that no rule matches, and amounts that cannot be attributed, are lines of their own. If
-- a rename that nobody saw happen decides who pays, the bounds of both hold the time in question. By tag
-- what has no such tag is a line of its own, too.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [payer, tag:KEY]
-- @column account {text} the account's name
-- @column project {text} project that pays
-- @column owner {text} who it is for
-- @column cost_centre {text} cost centre
-- @column tag {text} value of the tag, by tag
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
        account_id, account, day, kind, instance_uuid, title, project, owner, cost_centre, tags, cost_microcny,
        cost_min_microcny, cost_max_microcny
    FROM _cost_line
    WHERE in_period(day)
        AND account_chosen(account)
    UNION ALL
    SELECT
        account_id, account, day, kind, instance_uuid, title, project, owner, cost_centre, tags, cost_microcny,
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
        tags,
        instance_uuid,
        cost_microcny,
        cost_min_microcny,
        cost_max_microcny,
        0 AS amount_microcny,
        0 AS is_card
    FROM costs
    UNION ALL
    SELECT
        account, project, owner, cost_centre, tags, instance_uuid, cost_microcny, cost_min_microcny, cost_max_microcny,
        0, 0
    FROM _cost_doubt
    WHERE in_period(day) AND account_chosen(account)
        AND CASE
            WHEN is_by_payer() THEN is_payer_in_doubt()
            ELSE differ(project, or_project, '') OR differ(owner, or_owner, '')
                OR differ(cost_centre, or_cost_centre, '')
        END
    UNION ALL
    SELECT
        account,
        CASE WHEN instance_uuid IS NULL THEN '(cannot be attributed)' ELSE project END,
        owner,
        cost_centre,
        tags,
        instance_uuid,
        NULL,
        NULL,
        NULL,
        part_microcny,
        is_card
    FROM attributed
),
by_instance AS (
    -- by what tells lines apart at once: sorted by account and payer, as they are told, a year takes twice as long
    SELECT
        instance_uuid,
        project,
        owner,
        cost_centre,
        tags,
        account,
        sum_of(cost_microcny) AS cost_microcny,
        sum_of(cost_min_microcny) AS cost_min_microcny,
        sum_of(cost_max_microcny) AS cost_max_microcny,
        -- once for each line: a share is computed anew wherever it is named
        sum_of(amount_microcny) AS amount_microcny,
        is_card
    FROM lines
    GROUP BY instance_uuid, project, owner, cost_centre, tags, account, is_card
),
named AS (
    SELECT
        l.*,
        CASE WHEN NOT is_by_payer() THEN COALESCE(project, '(no rule)') END AS who,
        CASE WHEN NOT is_by_payer() THEN owner END AS whose,
        CASE WHEN NOT is_by_payer() THEN cost_centre END AS centre,
        CASE
            WHEN NOT is_by_payer() THEN NULL
            WHEN instance_uuid IS NULL THEN '(cannot be attributed)'
            ELSE payer_by(project, owner, cost_centre, tags)
        END AS tag
    FROM by_instance l
)
SELECT
    account,
    who AS project,
    whose AS owner,
    centre AS cost_centre,
    tag,
    COUNT(DISTINCT instance_uuid) AS instances,
    yuan(sum_of(cost_microcny)) AS estimated_yuan,
    yuan(sum_of(cost_min_microcny)) AS estimated_yuan_min,
    yuan(sum_of(cost_max_microcny)) AS estimated_yuan_max,
    yuan(sum_of(amount_microcny)) AS billed_yuan,
    yuan(sum_of(amount_microcny * (1 - is_card))) AS cash_yuan,
    yuan(sum_of(amount_microcny * is_card)) AS card_yuan
FROM named
GROUP BY account, who, whose, centre, tag
ORDER BY
    COALESCE(SUM(cost_microcny), 0) DESC, account, COALESCE(who, ''), COALESCE(whose, ''),
    COALESCE(centre, ''), COALESCE(tag, '')
