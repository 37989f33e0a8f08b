-- Every version of every compute card: what was known of it, and from when to when.
-- @column account the account's name
-- @column ended_at first_seen_at of the next version, or when it was no longer listed; null: current
-- @column face_yuan what it was good for
-- @column sale_yuan what was paid for it
-- @column left_yuan what was left on it
-- @column polled_at start of the newest complete poll of cards of its account
SELECT
    a.name AS account,
    k.uuid,
    k.title,
    k.card_no,
    k.bind_time,
    k.expire_date,
    k.face_amount_microcny,
    k.sale_price_microcny,
    k.leave_amount_microcny,
    yuan(k.face_amount_microcny) AS face_yuan,
    yuan(k.sale_price_microcny) AS sale_yuan,
    yuan(k.leave_amount_microcny) AS left_yuan,
    k.status_txt,
    k.first_seen_at,
    k.ended_at,
    (
        SELECT MAX(r.started_at) FROM sync_run r
        WHERE r.account_id = k.account_id AND r.resource = 'cards' AND r.outcome = 'complete'
    ) AS polled_at
FROM card k
JOIN account a ON a.account_id = k.account_id
