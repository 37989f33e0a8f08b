-- Balance: what is left, how fast it goes, and whether it adds up, for cash and for compute cards:
-- opening + added - billed + unexplained = closing over the period. `burn_now_yuan` is the estimated daily
-- cost of everything that runs now, whatever pays for it; `burn_7d_yuan` is the daily average charged over
-- the seven days up to the last day, if at least one of them is known. `days_left` uses `burn_now_yuan`
-- for cash and cards together, and `burn_7d_yuan` for each. An expired card shows as unexplained.
-- @observes balance
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column channel {text} balance, card, or all of it
-- @column opening_yuan {unit=yuan} at the start of the period, or of what is known
-- @column added_yuan {unit=yuan} recharged; face amounts of new cards
-- @column billed_yuan {unit=yuan} charged
-- @column unexplained_yuan {unit=yuan} what does not add up
-- @column closing_yuan {unit=yuan, keep} at the end of the period, or now
-- @column burn_now_yuan {unit=yuan} what runs now costs a day
-- @column burn_7d_yuan {unit=yuan} charged a day over seven days, or those of them that are known; empty: less than a day is
-- @column days_left {unit=d, keep} until it is used up
-- @column expires {instant} when the next card expires that has something left, UTC
-- @column expiring_yuan {unit=yuan} what is left on it
WITH sums AS balance_of_period(),
week AS (
    SELECT
        s.account,
        SUM(b.billed_microcny) AS cash,
        SUM(b.card_billed_microcny) AS card,
        SUM(b.known_s) AS known_s
    FROM sums s
    JOIN calendar_day l ON l.day = s.last_day
    JOIN calendar_day c ON c.starts_s < l.ends_s AND c.starts_s >= l.ends_s - 7 * {DAY_S} - 2 * {HOUR_S}
    JOIN balance_daily b ON b.account = s.account AND b.day = c.day
    GROUP BY s.account
),
next_card AS (
    SELECT account, expire_date, left_yuan
    FROM (
        SELECT
            account,
            expire_date,
            left_yuan,
            ROW_NUMBER() OVER (PARTITION BY account ORDER BY expires_s, uuid) AS place
        FROM card_now
        WHERE is_valid AND leave_amount_microcny > 0
    ) cards
    WHERE place = 1
),
lines AS (
    SELECT account, 1 AS place, 'balance' AS channel, opening, added, billed, closing FROM sums
    UNION ALL
    SELECT account, 2, 'card', card_opening, card_added, card_billed, card_closing FROM sums
    UNION ALL
    SELECT
        account, 3, 'all', opening + card_opening, added + card_added, billed + card_billed,
        closing + COALESCE(card_closing, 0)
    FROM sums
),
burning AS (
    SELECT
        l.*,
        CASE
            WHEN w.known_s >= {DAY_S}
            THEN CAST(
                CASE l.place WHEN 1 THEN w.cash WHEN 2 THEN w.card ELSE w.cash + w.card END AS BIGINT
            ) * {DAY_S} / CAST(w.known_s AS BIGINT)
        END AS burn_7d,
        CASE WHEN l.place = 3 THEN COALESCE(n.day_microcny, 0) END AS burn_now
    FROM lines l
    LEFT JOIN week w ON w.account = l.account
    LEFT JOIN burn_now n ON n.account = l.account
)
SELECT
    b.account,
    b.channel,
    yuan(CAST(b.opening AS BIGINT)) AS opening_yuan,
    yuan(CAST(b.added AS BIGINT)) AS added_yuan,
    yuan(CAST(b.billed AS BIGINT)) AS billed_yuan,
    yuan(CAST(b.closing - b.opening - b.added + b.billed AS BIGINT)) AS unexplained_yuan,
    yuan(CAST(b.closing AS BIGINT)) AS closing_yuan,
    yuan(CAST(b.burn_now AS BIGINT)) AS burn_now_yuan,
    yuan(CAST(b.burn_7d AS BIGINT)) AS burn_7d_yuan,
    CASE
        WHEN b.closing > 0 AND COALESCE(b.burn_now, b.burn_7d) >= 1
        THEN CAST(b.closing AS BIGINT) * 100 / CAST(COALESCE(b.burn_now, b.burn_7d) AS BIGINT) / 100.0
    END AS days_left,
    CASE WHEN b.place = 2 THEN k.expire_date END AS expires,
    CASE WHEN b.place = 2 THEN k.left_yuan END AS expiring_yuan
FROM burning b
LEFT JOIN next_card k ON k.account = b.account
ORDER BY b.account, b.place
