-- The bill attributed to instances: no bill names one, so each day's lines are shared out in
-- proportion to what the instances cost by estimate, lines of running time over those that ran, lines
-- of prepaid time over those that are held. An amount without any such instance is on a line without one. All
-- lines of a day add up to its bill to the millionth. An attribution, not a fact.
-- @column account the account's name
-- @column instance_uuid identity; null: cannot be attributed
-- @column title the user's name for it
-- @column amount_microcny attributed; millionths of a yuan
-- @column cash_microcny of it, paid from the balance
-- @column card_microcny of it, paid by compute cards
-- @column amount_yuan attributed, yuan
-- @column cash_yuan of it, paid from the balance, yuan
-- @column card_yuan of it, paid by compute cards, yuan
SELECT
    s.*,
    yuan(s.amount_microcny) AS amount_yuan,
    yuan(s.cash_microcny) AS cash_yuan,
    yuan(s.card_microcny) AS card_yuan,
    periods_of(s.day)
FROM (
    SELECT
        account,
        day,
        instance_uuid,
        title,
        project,
        owner,
        cost_centre,
        tags,
        sum_of(part_microcny) AS amount_microcny,
        sum_of(CASE WHEN is_card = 0 THEN part_microcny ELSE 0 END) AS cash_microcny,
        sum_of(CASE WHEN is_card = 1 THEN part_microcny ELSE 0 END) AS card_microcny
    FROM _bill_share
    GROUP BY account, day, instance_uuid, title, project, owner, cost_centre, tags
) s
