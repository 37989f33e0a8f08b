-- Recharges that were ordered and are not paid: no money, and in no sum.
-- @column account the account's name
-- @column day day of the reporting time zone in which it was ordered, or first seen
-- @column ordered_s when it was ordered, or first seen, epoch seconds
-- @column amount_yuan what was to be paid in, yuan
SELECT
    r.account,
    c.day,
    r.recharge_id,
    r.ordered_s,
    r.pay_channel,
    r.amount_microcny,
    yuan(r.amount_microcny) AS amount_yuan
FROM (
    SELECT
        a.name AS account,
        k.recharge_id,
        epoch(COALESCE(k.created_at, k.first_seen_at)) AS ordered_s,
        k.pay_channel,
        k.amount_microcny
    FROM recharge k
    JOIN account a ON a.account_id = k.account_id
    WHERE k.superseded_at IS NULL AND k.is_paid = 0
) r
JOIN calendar_day c ON holds(c, r.ordered_s)
