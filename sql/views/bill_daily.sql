-- The bill by day of the reporting time zone and channel: each line spread evenly over the window that
-- it settles. The parts of a line add up to it exactly.
-- @column account the account's name
-- @column charge_channel 1 balance, 2 compute card, 0 unknown
-- @column lines bill lines that reach into the day
-- @column amount_microcny charged for the day; millionths of a yuan
-- @column amount_yuan charged for the day, yuan
SELECT
    b.account,
    b.day,
    b.charge_channel,
    b.lines,
    b.amount_microcny,
    yuan(b.amount_microcny) AS amount_yuan,
    periods_of(b.day)
FROM (
    SELECT
        a.name AS account,
        d.day,
        d.charge_channel,
        COUNT(*) AS lines,
        sum_of(d.amount_microcny) AS amount_microcny
    FROM bill_day d
    JOIN account a ON a.account_id = d.account_id
    GROUP BY a.name, d.day, d.charge_channel
) b
