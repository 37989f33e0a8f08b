-- Every line of the bill cut into days. A moment, or a window of whole days, is taken for one of prepaid
-- time where something prepaid was held then: see `bill_window`.
-- @column account the account's name
-- @column charge_channel 1 balance, 2 compute card, 0 unknown
-- @column starts_s start of the settlement window, epoch seconds
-- @column ends_s its end, epoch seconds
-- @column amount_microcny the part of the amount that falls into the day; millionths of a yuan
-- @column cut_microcny how much of it another day might have instead: what is rounded up to whole steps is not spread as it is charged
-- @column is_prepaid 1 where its window is one of whole days, or a moment, as those of prepaid time are
SELECT
    account,
    account_id,
    day,
    order_number,
    charge_channel,
    remark,
    line_no,
    settle_start_at,
    settle_end_at,
    starts_s,
    ends_s,
    amount_microcny,
    CASE
        WHEN starts_s >= day_starts_s AND ends_s <= day_ends_s OR step_s = 1 THEN 0
        ELSE ABS(amount_microcny)
            * CASE WHEN ends_s - starts_s < step_s THEN ends_s - starts_s ELSE step_s END
            / (
                CASE WHEN ends_s < day_ends_s THEN ends_s ELSE day_ends_s END
                - CASE WHEN starts_s > day_starts_s THEN starts_s ELSE day_starts_s END
            )
    END AS cut_microcny,
    is_prepaid
FROM (
    SELECT
        d.account_id,
        a.name AS account,
        d.day,
        d.order_number,
        d.charge_channel,
        d.remark,
        d.line_no,
        d.settle_start_at,
        d.settle_end_at,
        epoch(d.settle_start_at) AS starts_s,
        epoch(d.settle_end_at) AS ends_s,
        c.starts_s AS day_starts_s,
        c.ends_s AS day_ends_s,
        m.step_s,
        d.amount_microcny,
        CASE
            WHEN (epoch(d.settle_end_at) - epoch(d.settle_start_at)) / 86400 * 86400
                = epoch(d.settle_end_at) - epoch(d.settle_start_at)
            THEN 1
            ELSE 0
        END AS is_prepaid
    FROM bill_day d
    JOIN account a ON a.account_id = d.account_id
    JOIN calendar_day c ON c.day = d.day
    CROSS JOIN charging_model m
) l
