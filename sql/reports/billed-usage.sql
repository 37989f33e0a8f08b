-- Usage before the first poll, as the bill shows it: cost and card-hours of time that nobody observed. It
-- is in no other report. Cards are known if just one model and number fits the amounts of a run, instances if
-- a run began when the instance says, or at its creation; the rest is a line of its own.
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [day, month, model, instance]
-- @column account {text} the account's name
-- @column what {text} what the line is about
-- @column instance_uuid {text} identity, by instance
-- @column evidence {text} billed: the bill alone
-- @column hours {unit=h, total} hours of settlement windows
-- @column gpu_hours {unit=h, total} card-hours, as far as the cards are known
-- @column cost_yuan {unit=yuan, total} charged
-- @column unknown_yuan {unit=yuan, total} of it, for cards that are not known
WITH lines AS (
    SELECT
        b.account,
        CASE CAST(:by AS TEXT)
            WHEN 'day' THEN CAST(b.day AS TEXT)
            WHEN 'month' THEN b.month
            WHEN 'model' THEN COALESCE(b.gpu_name, '(not known)')
            ELSE COALESCE(b.title, '(not known)')
        END AS what,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN b.instance_uuid END AS instance_uuid,
        b.evidence,
        b.billed_s,
        b.gpu_s,
        b.cost_microcny,
        CASE WHEN b.gpu_nums IS NULL THEN b.cost_microcny ELSE 0 END AS unknown_microcny
    FROM billed_usage_daily b
    WHERE in_period(b.day) AND account_chosen(b.account)
)
SELECT
    account,
    what,
    instance_uuid,
    evidence,
    hours(sum_of(billed_s)) AS hours,
    hours(sum_of(gpu_s)) AS gpu_hours,
    yuan(sum_of(cost_microcny)) AS cost_yuan,
    yuan(sum_of(unknown_microcny)) AS unknown_yuan
FROM lines
GROUP BY account, what, instance_uuid, evidence
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'month') THEN what END,
    SUM(cost_microcny) DESC, account, what, instance_uuid
