-- One bridge from bill to bill: what was billed by settlement window, by day of charge and by the balance,
-- and what lies between one figure and the next. A figure and the amounts below it add up to the next
-- figure; what remains is 0.00. Figures of the balance are empty if it was not known in the period.
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column line {text} the figure, or what leads from it to the next
-- @column amount_yuan {unit=yuan} what is added to the figure above, or taken from it
-- @column figure_yuan {unit=yuan} the figure, as the report shows it
-- @column report {text} the report that shows the figure
WITH windows AS (
    SELECT
        account_id,
        sum_of(CASE WHEN is_prepaid = 1 THEN 0 ELSE amount_microcny END) AS running,
        sum_of(CASE WHEN is_prepaid = 1 THEN amount_microcny ELSE 0 END) AS prepaid
    FROM _bill_window
    WHERE in_period(day) AND account_chosen(account)
    GROUP BY account_id
),
settled AS billed_in_period(bill_daily),
charged AS billed_in_period(bill_line),
charged_elsewhere AS counted_elsewhere(day, charged_day),
settled_elsewhere AS counted_elsewhere(charged_day, day),
known AS balance_of_period(),
paid AS (
    -- a day of the balance begins and ends with a poll, not at midnight
    SELECT
        account,
        sum_of(CASE WHEN is_within = 1 THEN by_card(charge_channel, amount_microcny) ELSE 0 END)
            AS cards,
        sum_of(CASE
            WHEN is_within = 0 AND charged_at > counted_from AND charged_at <= counted_to
            THEN by_balance(charge_channel, amount_microcny)
            ELSE 0
        END) AS carried_over,
        sum_of(CASE
            WHEN is_within = 1 AND charged_at > counted_to
            THEN by_balance(charge_channel, amount_microcny)
            ELSE 0
        END) AS not_yet,
        sum_of(CASE
            WHEN is_within = 1 AND charged_at <= counted_from
            THEN by_balance(charge_channel, amount_microcny)
            ELSE 0
        END) AS unknown
    FROM (
        SELECT
            b.account,
            b.charge_channel,
            b.amount_microcny,
            COALESCE(b.ordered_at, b.settle_end_at) AS charged_at,
            CASE WHEN b.day >= :from_day THEN 1 ELSE 0 END AS is_within,
            k.counted_from,
            k.counted_to
        FROM bill_line b
        LEFT JOIN known k ON k.account = b.account
        WHERE b.day <= :to_day AND account_chosen(b.account)
            AND (b.day >= :from_day OR b.day >= k.counted_from_day)
    ) lines
    GROUP BY account
),
sums AS (
    SELECT
        a.name AS account,
        COALESCE(w.running, 0) AS running,
        COALESCE(w.prepaid, 0) AS prepaid,
        COALESCE(s.billed, 0) AS by_window,
        COALESCE(e.before_it, 0) AS time_before,
        COALESCE(e.after_it, 0) AS time_after,
        -COALESCE(o.after_it, 0) AS charged_after,
        -COALESCE(o.before_it, 0) AS charged_before,
        COALESCE(c.billed, 0) AS by_charge,
        -COALESCE(p.cards, 0) AS cards,
        COALESCE(p.carried_over, 0) AS carried_over,
        -COALESCE(p.not_yet, 0) AS not_yet,
        -COALESCE(p.unknown, 0) AS unknown,
        CAST(k.billed AS BIGINT) AS by_balance,
        CAST(k.opening + k.added - k.billed - k.closing AS BIGINT) AS unexplained,
        CAST(k.opening + k.added - k.closing AS BIGINT) AS used_up
    FROM account a
    LEFT JOIN windows w ON w.account_id = a.account_id
    LEFT JOIN settled s ON s.account = a.name
    LEFT JOIN charged c ON c.account = a.name
    LEFT JOIN charged_elsewhere o ON o.account = a.name
    LEFT JOIN settled_elsewhere e ON e.account = a.name
    LEFT JOIN paid p ON p.account = a.name
    LEFT JOIN known k ON k.account = a.name
    WHERE account_chosen(a.name)
),
lines AS (
    SELECT account, 1 AS place, 'billed for running time' AS line, NULL AS amount, running AS figure,
        'settlement' AS report FROM sums
    UNION ALL
    SELECT account, 2, 'prepaid: whole days, and moments', prepaid, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 3, 'billed by settlement window', NULL, by_window, 'bills' FROM sums
    UNION ALL
    SELECT account, 4, 'charged in the period for time before it', time_before, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 5, 'charged in the period for time after it', time_after, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 6, 'time in the period that was charged after it', charged_after, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 7, 'time in the period that was charged before it', charged_before, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 8, 'billed by day of charge', NULL, by_charge, 'bill-lines' FROM sums
    UNION ALL
    SELECT account, 9, 'paid by compute cards', cards, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 10, 'charged before the period, after the last poll of the balance', carried_over, NULL, NULL
    FROM sums
    UNION ALL
    SELECT account, 11, 'charged in the period, after the last poll of the balance', not_yet, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 12, 'charged before the balance was known', unknown, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 13, 'billed to the balance', NULL, by_balance, 'balance' FROM sums
    UNION ALL
    SELECT account, 14, 'unexplained by the balance', unexplained, NULL, NULL FROM sums
    UNION ALL
    SELECT account, 15, 'opening + added - closing', NULL, used_up, 'balance' FROM sums
    UNION ALL
    SELECT
        account,
        16,
        'remains',
        NULL,
        ABS(by_window - running - prepaid)
        + ABS(by_charge - by_window - time_before - time_after - charged_after - charged_before)
        + ABS(COALESCE(by_balance - by_charge - cards - carried_over - not_yet - unknown, 0))
        + ABS(COALESCE(used_up - by_balance - unexplained, 0)),
        NULL
    FROM sums
)
SELECT account, line, yuan(amount) AS amount_yuan, yuan(figure) AS figure_yuan, report
FROM lines
ORDER BY account, place
