-- Recharges of the balance, each with the day of the reporting time zone on which it was paid;
-- those that were ordered and not paid are left out.
-- @column account the account's name
-- @column paid_s when it was paid, epoch seconds
-- @column amount_yuan paid in, yuan
-- @column paid_local paid_at by the clocks of the reporting time zone
SELECT
    r.account,
    c.day,
    r.recharge_id,
    r.paid_at,
    r.paid_s,
    r.pay_channel,
    r.amount_microcny,
    yuan(r.amount_microcny) AS amount_yuan,
    local_of(r.paid_s) AS paid_local,
    c.month,
    c.week
FROM (
    SELECT
        a.name AS account,
        k.recharge_id,
        COALESCE(k.paid_at, k.created_at, k.first_seen_at) AS paid_at,
        epoch(COALESCE(k.paid_at, k.created_at, k.first_seen_at)) AS paid_s,
        k.pay_channel,
        k.amount_microcny
    FROM recharge k
    JOIN account a ON a.account_id = k.account_id
    WHERE k.superseded_at IS NULL AND k.is_paid = 1
) r
JOIN calendar_day c ON holds(c, r.paid_s)
