-- The balance at the end of each day of the reporting time zone (today: now), the money that came and
-- went, and the rest that is unexplained: opening + recharged - billed + unexplained = closing, for
-- cash and for cards. A day lasts here from the last poll of the balance before it to its own last one,
-- so that lines and recharges count on the day whose balance shows them.
-- What runs of workflows froze and took, less what they released, is in `unexplained` unless the bill has a
-- line for it: `workflow_microcny` says how much that is, `without_workflow_microcny` what is left.
-- A card's face amount comes in on the day on which the card was first seen.
-- @column account the account's name
-- @column opening_microcny cash at the end of the day before; null: not known
-- @column recharged_microcny paid in
-- @column billed_microcny charged to the balance
-- @column closing_microcny cash at the end of the day
-- @column unexplained_microcny closing - opening - recharged + billed; null if opening is not known
-- @column workflow_microcny what runs of workflows froze and took in that time, less what they released
-- @column without_workflow_microcny of what is unexplained, what runs of workflows do not explain: the lesser of both, if a line of the bill may take a run, too
-- @column card_opening_microcny on cards at the end of the day before
-- @column card_added_microcny face amounts of cards that came
-- @column card_billed_microcny charged to cards
-- @column card_closing_microcny on cards at the end of the day
-- @column card_unexplained_microcny what does not add up for cards, an expired card among it
-- @column counted_from lines and recharges after this instant count: start of the last poll of the balance before the day
-- @column counted_from_day day of that instant
-- @column counted_to up to this instant: start of the last poll of the balance in the day
-- @column known_s seconds of the day up to the newest poll of the balance
-- @column closing_yuan cash at the end of the day, in yuan
-- @column card_closing_yuan on cards at the end of the day, in yuan
-- @column opening_yuan cash at the end of the day before, in yuan; null: not known
-- @column recharged_yuan paid in, in yuan
-- @column billed_yuan charged to the balance, in yuan
-- @column unexplained_yuan unexplained_microcny in yuan
-- @column workflow_yuan workflow_microcny in yuan
-- @column without_workflow_yuan without_workflow_microcny in yuan
-- @column card_opening_yuan on cards at the end of the day before, in yuan
-- @column card_added_yuan face amounts of cards that came, in yuan
-- @column card_billed_yuan charged to cards, in yuan
-- @column card_unexplained_yuan card_unexplained_microcny in yuan
WITH counted AS MATERIALIZED (
    -- kept apart, or SQLite would look up the polls of a day for each line of the bill
    SELECT
        o.account_id,
        o.last_s,
        c.day,
        c.starts_s,
        c.ends_s,
        balance_poll_before(o, c.starts_s) AS seen_since,
        balance_poll_before(o, c.ends_s) AS seen_to
    FROM (
        SELECT account_id, MAX(epoch(started_at)) AS last_s FROM sync_run
        WHERE resource = 'balance' AND outcome = 'complete'
        GROUP BY account_id
    ) o
    JOIN (
        SELECT account_id, epoch(MIN(first_seen_at)) AS first_s FROM balance GROUP BY account_id
    ) k ON k.account_id = o.account_id
    -- from the first known balance on: before it a day could only be empty
    JOIN calendar_day c ON c.ends_s > k.first_s AND c.starts_s <= o.last_s
)
SELECT
    b.*,
    yuan(b.opening_microcny) AS opening_yuan,
    yuan(b.recharged_microcny) AS recharged_yuan,
    yuan(b.billed_microcny) AS billed_yuan,
    yuan(b.unexplained_microcny) AS unexplained_yuan,
    yuan(b.workflow_microcny) AS workflow_yuan,
    yuan(b.without_workflow_microcny) AS without_workflow_yuan,
    yuan(b.card_opening_microcny) AS card_opening_yuan,
    yuan(b.card_added_microcny) AS card_added_yuan,
    yuan(b.card_billed_microcny) AS card_billed_yuan,
    yuan(b.card_unexplained_microcny) AS card_unexplained_yuan,
    periods_of(b.day)
FROM (
    SELECT
        account,
        day,
        opening_microcny,
        recharged_microcny,
        billed_microcny,
        closing_microcny,
        closing_microcny - opening_microcny - recharged_microcny + billed_microcny
            AS unexplained_microcny,
        workflow_microcny,
        -- a run that the bill has, too, explains nothing: then the rest is what it is without
        CASE
            WHEN ABS(
                closing_microcny - opening_microcny - recharged_microcny + billed_microcny
                + workflow_microcny
            ) < ABS(closing_microcny - opening_microcny - recharged_microcny + billed_microcny)
            THEN closing_microcny - opening_microcny - recharged_microcny + billed_microcny
                + workflow_microcny
            ELSE closing_microcny - opening_microcny - recharged_microcny + billed_microcny
        END AS without_workflow_microcny,
        card_opening_microcny,
        card_added_microcny,
        card_billed_microcny,
        card_closing_microcny,
        card_closing_microcny - card_opening_microcny - card_added_microcny + card_billed_microcny
            AS card_unexplained_microcny,
        yuan(closing_microcny) AS closing_yuan,
        yuan(card_closing_microcny) AS card_closing_yuan,
        known_s,
        counted_from,
        counted_from_day,
        counted_to
    FROM (
        SELECT
            a.name AS account,
            c.day,
            earlier(c.last_s, c.ends_s) - c.starts_s AS known_s,
            counted_since(c) AS counted_from,
            COALESCE(f.day, c.day) AS counted_from_day,
            c.seen_to AS counted_to,
            balance_before(a, c.starts_s, b.balance_microcny) AS opening_microcny,
            balance_before(a, c.ends_s, b.balance_microcny) AS closing_microcny,
            balance_before(a, c.starts_s, b.card_balance_microcny) AS card_opening_microcny,
            balance_before(a, c.ends_s, b.card_balance_microcny) AS card_closing_microcny,
            CAST(COALESCE((
                SELECT SUM(r.amount_microcny) FROM recharge r
                WHERE r.account_id = a.account_id AND r.superseded_at IS NULL AND r.is_paid = 1
                    AND is_between_polls(COALESCE(r.paid_at, r.created_at, r.first_seen_at), c)
            ), 0) AS BIGINT) AS recharged_microcny,
            billed_between_polls(a, c, f, NOT is_card(l.charge_channel)) AS billed_microcny,
            billed_between_polls(a, c, f, is_card(l.charge_channel)) AS card_billed_microcny,
            held_by_workflows(a, c.seen_to) - held_by_workflows(a, counted_since(c))
                AS workflow_microcny,
            CAST(COALESCE((
                SELECT SUM(k.face_amount_microcny) FROM card k
                WHERE k.account_id = a.account_id
                    AND k.first_seen_at >= instant(c.starts_s) AND k.first_seen_at < instant(c.ends_s)
                    AND NOT EXISTS (
                        SELECT 1 FROM card e
                        WHERE e.account_id = k.account_id AND e.uuid = k.uuid
                            AND e.first_seen_at < k.first_seen_at
                    )
            ), 0) AS BIGINT) AS card_added_microcny
        FROM counted c
        JOIN account a ON a.account_id = c.account_id
        LEFT JOIN calendar_day f
            ON f.starts_s <= epoch(c.seen_since) AND f.ends_s > epoch(c.seen_since)
    ) days
) b
