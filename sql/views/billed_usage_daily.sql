-- Usage before the first poll, as the bill shows it: what was charged in each day for time that nobody
-- observed, by GPU model if just one fits the amounts, and by instance if a run began when the instance says.
-- It is in no other view of usage or cost. Runs that went on at the first poll are not in it: they count
-- as observed since their start. The bill knows what it charged, not what ran: there are no bounds.
-- @column account the account's name
-- @column day day of the reporting time zone
-- @column evidence billed
-- @column kind running, or held: charged by the day, or at a moment
-- @column instance_uuid identity; null: the bill does not tell
-- @column title the user's name for it, as of now; null likewise
-- @column gpu_uuid GPU model; null: several fit the amounts, or none
-- @column gpu_name name of the GPU model; null likewise
-- @column gpu_nums number of GPUs of the instance; null likewise
-- @column charges charges whose windows reach into the day
-- @column billed_s seconds of these windows in the day; windows of several instances at once count each
-- @column gpu_s card-seconds in the day; null: the cards are not known
-- @column cost_microcny charged for the day; millionths of a yuan
-- @column hours billed_s in hours
-- @column gpu_hours card-hours in the day
-- @column cost_yuan charged for the day, yuan
SELECT
    a.name AS account,
    b.day,
    CAST('billed' AS TEXT) AS evidence,
    b.kind,
    b.instance_uuid,
    i.title,
    b.gpu_uuid,
    b.gpu_name,
    b.gpu_nums,
    b.charges,
    b.billed_s,
    b.billed_s * b.gpu_nums AS gpu_s,
    b.amount_microcny AS cost_microcny,
    in_hours(b.billed_s) AS hours,
    in_hours(b.billed_s * b.gpu_nums) AS gpu_hours,
    yuan(b.amount_microcny) AS cost_yuan,
    periods_of(b.day)
FROM billed_usage_day b
JOIN account a ON a.account_id = b.account_id
LEFT JOIN instance i ON is_instance_of(i, b)
