-- Compute cards as they are now, with the amount left on each and its expiry.
-- @column account the account's name
-- @column is_valid whether it had not expired at the newest complete poll of cards
-- @column expires_s epoch seconds
-- @column expires_local expire_date by the clocks of the reporting time zone
-- @column face_yuan what it was good for
-- @column sale_yuan what was paid for it
-- @column left_yuan what is left on it
SELECT
    a.name AS account,
    k.uuid,
    k.title,
    k.card_no,
    k.bind_time,
    k.expire_date,
    epoch(k.expire_date) AS expires_s,
    flag(k.expire_date IS NULL OR k.expire_date > h.last_at) AS is_valid,
    k.face_amount_microcny,
    k.sale_price_microcny,
    k.leave_amount_microcny,
    yuan(k.face_amount_microcny) AS face_yuan,
    yuan(k.sale_price_microcny) AS sale_yuan,
    yuan(k.leave_amount_microcny) AS left_yuan,
    k.status_txt,
    local_of(epoch(k.expire_date)) AS expires_local
FROM card k
JOIN account a ON a.account_id = k.account_id
JOIN (
    SELECT account_id, MAX(started_at) AS last_at
    FROM sync_run
    WHERE resource = 'cards' AND outcome = 'complete'
    GROUP BY account_id
) h ON h.account_id = k.account_id
WHERE k.ended_at IS NULL
