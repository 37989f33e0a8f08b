-- Balance: what is left, how fast it goes, and whether it adds up, for cash and for compute cards:
-- opening + added - billed + unexplained = closing over the period. `burn_now_yuan` is the estimated daily
-- cost of everything that runs now, whatever pays for it; `burn_7d_yuan` is the daily average charged over
-- the seven days up to the last day, if at least one of them is known. `days_left` uses `burn_now_yuan`
-- for cash and cards together, and `burn_7d_yuan` for each. An expired card shows as unexplained.
-- @zh 余额与算力卡：期初 + 充值 - 消费 + 差异 = 期末，以及按目前消耗还能用多久。过期的算力卡显示为
-- @zh 差异。
-- @observes balance
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column channel {zh=支付方式} balance, card, or all of it | 余额、算力卡或合计
-- @column opening_yuan {zh=期初, unit=yuan} at the start of the period, or of what is known | 期初，或已知的最早时刻
-- @column added_yuan {zh=充值, unit=yuan} recharged; face amounts of new cards | 充值金额；新算力卡的面额
-- @column billed_yuan {zh=消费, unit=yuan} charged | 扣费
-- @column unexplained_yuan {zh=差异, unit=yuan} what does not add up | 对不上的金额
-- @column closing_yuan {zh=期末, unit=yuan} at the end of the period, or now | 期末，或当前
-- @column burn_now_yuan {zh=当前日耗, unit=yuan} what runs now costs a day | 当前运行实例每天的费用
-- @column burn_7d_yuan {zh=七日日耗, unit=yuan} charged a day over seven days, or those of them that are known; empty: less than a day is | 最近七天（或其中已知部分）的日均扣费；空：已知不足一天
-- @column days_left {zh=可用天数, unit=d} until it is used up | 用完还需的天数
-- @column expires {zh=最近到期, instant} when the next card expires that has something left, UTC | 下一张有余额的算力卡到期的时间
-- @column expiring_yuan {zh=到期金额, unit=yuan} what is left on it | 卡上余额
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
