-- Compute cards as they are now, with the amount left on each and its expiry.
-- @column account the account's name
-- @column is_valid whether it had not expired at the newest complete poll of cards
-- @column expires_s epoch seconds
-- @column expires_local expire_date by the clocks of the reporting time zone
-- @column face_yuan what it was good for
-- @column sale_yuan what was paid for it
-- @column left_yuan what is left on it
SELECT
    account,
    uuid,
    title,
    card_no,
    bind_time,
    expire_date,
    epoch(expire_date) AS expires_s,
    flag(expire_date IS NULL OR expire_date > polled_at) AS is_valid,
    face_amount_microcny,
    sale_price_microcny,
    leave_amount_microcny,
    face_yuan,
    sale_yuan,
    left_yuan,
    status_txt,
    local_of(epoch(expire_date)) AS expires_local
FROM _card_version
WHERE ended_at IS NULL AND polled_at IS NOT NULL
