-- Paid runs of workflows, a product beside the instances: what each froze, cost and released. Whether the
-- bill has a line for it is not known; `balance_daily` says what runs took from the balance.
-- @column account the account's name
-- @column day day of the reporting time zone on which it was submitted; null: not known
-- @column created_s when it was submitted, epoch seconds
-- @column ended_s when it succeeded or failed, epoch seconds; null: not yet
-- @column held_microcny what the run holds of the balance now: frozen until its end, then what it cost
-- @column quote_yuan frozen when it was submitted, yuan
-- @column final_yuan settled at its end, yuan
-- @column released_yuan released at its end, yuan
-- @column held_yuan as held_microcny, yuan
-- @column created_local created_at by the clocks of the reporting time zone
SELECT
    a.name AS account,
    c.day,
    r.run_order_id,
    r.workflow_id,
    r.revision_id,
    r.run_status,
    r.freeze_status,
    r.settlement_status,
    r.created_at,
    epoch(r.created_at) AS created_s,
    r.started_at,
    r.ended_at,
    epoch(r.ended_at) AS ended_s,
    r.execution_s,
    r.quote_microcny,
    r.final_microcny,
    r.released_microcny,
    COALESCE(CASE WHEN r.ended_at IS NULL THEN r.quote_microcny ELSE r.final_microcny END, 0)
        AS held_microcny,
    yuan(r.quote_microcny) AS quote_yuan,
    yuan(r.final_microcny) AS final_yuan,
    yuan(r.released_microcny) AS released_yuan,
    yuan(COALESCE(CASE WHEN r.ended_at IS NULL THEN r.quote_microcny ELSE r.final_microcny END, 0))
        AS held_yuan,
    local_of(epoch(r.created_at)) AS created_local
FROM workflow_run r
JOIN account a ON a.account_id = r.account_id
LEFT JOIN calendar_day c ON holds(c, epoch(r.created_at))
WHERE r.superseded_at IS NULL
