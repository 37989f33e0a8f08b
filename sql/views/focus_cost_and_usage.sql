-- Cost and usage as FOCUS 1.2 and 1.3 (the FinOps Open Cost and Usage Specification) have it: a row for
-- each instance, stretch of usage, price and day of the reporting time zone, and one for each bill line
-- that can be attributed to no usage. Amounts are yuan. `chenyu-etl export focus` writes a month of it.
-- @column AvailabilityZone null: the source names none
-- @column BilledCost what was billed, whoever paid: each day's bill shared out in proportion to estimated cost; 0 while nothing is billed
-- @column BillingAccountId the configured account's name
-- @column BillingAccountName the configured account's name
-- @column BillingCurrency CNY
-- @column BillingPeriodStart start of the calendar month of the reporting time zone
-- @column BillingPeriodEnd its end, exclusive
-- @column ChargeCategory Usage; Credit for bill lines below zero
-- @column ChargeClass null: nothing is a correction
-- @column ChargeDescription GPUs and how they are charged, or the remark of the bill line
-- @column ChargeFrequency Usage-Based; prepaid Recurring; credits One-Time
-- @column ChargePeriodStart start of the part of the stretch in the day
-- @column ChargePeriodEnd its end, exclusive
-- @column CommitmentDiscountStatus null: there are none
-- @column ConsumedQuantity hours charged
-- @column ConsumedUnit Hours
-- @column ContractedCost at the user's own price if there is one, else at the list price
-- @column ContractedUnitPrice price of an hour of all its GPUs: the user's own, else the list price
-- @column EffectiveCost as BilledCost; prepaid: the part of the price that this time takes
-- @column HostProviderName the provider (since FOCUS 1.3)
-- @column InvoiceId null: the source numbers no invoices
-- @column InvoiceIssuerName the provider
-- @column ListCost at list prices
-- @column ListUnitPrice list price of all its GPUs for an hour
-- @column PricingCategory Standard
-- @column PricingCurrency CNY
-- @column PricingCurrencyContractedUnitPrice as ContractedUnitPrice
-- @column PricingCurrencyEffectiveCost as EffectiveCost
-- @column PricingCurrencyListUnitPrice as ListUnitPrice
-- @column PricingQuantity hours charged
-- @column PricingUnit Hours
-- @column ProviderName the provider
-- @column PublisherName the provider
-- @column RegionId null: the source names none
-- @column RegionName null: the source names none
-- @column ResourceId instance_uuid
-- @column ResourceName the user's name for it at that time
-- @column ResourceType GPU Instance
-- @column ServiceCategory Compute
-- @column ServiceName GPU Instances
-- @column ServiceProviderName the provider (since FOCUS 1.3)
-- @column ServiceSubcategory Virtual Machines
-- @column SkuId gpu_uuid
-- @column SkuMeter GPU Instance Hours
-- @column SkuPriceDetails flat JSON: GpuCount, InstanceType
-- @column SkuPriceId gpu_uuid, count, charging type and since when the price holds (epoch seconds)
-- @column SubAccountId null: the source names none
-- @column SubAccountName null: the source names none
-- @column SubAccountType null: the source names none
-- @column Tags flat JSON of the tags, and of what allocation says: project, owner, cost_centre
-- @column x_CardCost of BilledCost, what compute cards paid
-- @column x_CostMax what it cost by estimate, at most
-- @column x_CostMin what it cost by estimate, at least
-- @column x_CostSource estimate, closed (a frozen month), or bill
-- @column x_Day day of the reporting time zone
-- @column x_EstimatedCost what it cost by estimate; null: a bill line without usage
-- @column x_GpuHours card-hours
-- @column x_OrderNumber # and the order of the bill line: readers take digits alone for a number, and round it
SELECT
    CAST(NULL AS TEXT) AS "AvailabilityZone",
    yuan(l.billed_microcny) AS "BilledCost",
    l.account AS "BillingAccountId",
    l.account AS "BillingAccountName",
    'CNY' AS "BillingCurrency",
    instant(m.starts_s) AS "BillingPeriodStart",
    instant(m.ends_s) AS "BillingPeriodEnd",
    CASE WHEN l.source = 'bill' AND l.cost_microcny < 0 THEN 'Credit' ELSE 'Usage' END AS "ChargeCategory",
    CAST(NULL AS TEXT) AS "ChargeClass",
    CASE WHEN l.source = 'bill' THEN COALESCE(NULLIF(l.remark, ''), 'bill line without usage') ELSE COALESCE(l.gpu_name, 'unknown GPU') || ' x ' || COALESCE(CAST(l.gpu_nums AS TEXT), '?') || CASE WHEN l.kind = 'held' THEN ', prepaid' ELSE ', by time' END END AS "ChargeDescription",
    CASE
        WHEN l.kind = 'held' THEN 'Recurring'
        WHEN l.source = 'bill' AND l.cost_microcny < 0 THEN 'One-Time'
        ELSE 'Usage-Based'
    END AS "ChargeFrequency",
    instant(l.starts_s) AS "ChargePeriodStart",
    instant(l.ends_s) AS "ChargePeriodEnd",
    CAST(NULL AS TEXT) AS "CommitmentDiscountStatus",
    CASE WHEN l.source <> 'bill' THEN l.charged_s / {HOUR_S}.0 END AS "ConsumedQuantity",
    CASE WHEN l.source <> 'bill' THEN 'Hours' END AS "ConsumedUnit",
    yuan(l.cost_microcny) AS "ContractedCost",
    yuan(l.hour_microcny) AS "ContractedUnitPrice",
    yuan(CASE WHEN l.kind = 'held' THEN l.cost_microcny ELSE l.billed_microcny END) AS "EffectiveCost",
    'Chenyu Cloud' AS "HostProviderName",
    CAST(NULL AS TEXT) AS "InvoiceId",
    'Chenyu Cloud' AS "InvoiceIssuerName",
    yuan(l.list_microcny) AS "ListCost",
    yuan(l.list_hour_microcny) AS "ListUnitPrice",
    CASE WHEN l.source <> 'bill' THEN 'Standard' END AS "PricingCategory",
    'CNY' AS "PricingCurrency",
    yuan(l.hour_microcny) AS "PricingCurrencyContractedUnitPrice",
    yuan(CASE WHEN l.kind = 'held' THEN l.cost_microcny ELSE l.billed_microcny END)
        AS "PricingCurrencyEffectiveCost",
    yuan(l.list_hour_microcny) AS "PricingCurrencyListUnitPrice",
    CASE WHEN l.source <> 'bill' THEN l.charged_s / {HOUR_S}.0 END AS "PricingQuantity",
    CASE WHEN l.source <> 'bill' THEN 'Hours' END AS "PricingUnit",
    'Chenyu Cloud' AS "ProviderName",
    'Chenyu Cloud' AS "PublisherName",
    CAST(NULL AS TEXT) AS "RegionId",
    CAST(NULL AS TEXT) AS "RegionName",
    l.instance_uuid AS "ResourceId",
    NULLIF(l.title, '') AS "ResourceName",
    CASE WHEN l.instance_uuid IS NOT NULL THEN 'GPU Instance' END AS "ResourceType",
    'Compute' AS "ServiceCategory",
    'GPU Instances' AS "ServiceName",
    'Chenyu Cloud' AS "ServiceProviderName",
    'Virtual Machines' AS "ServiceSubcategory",
    CASE WHEN l.source <> 'bill' THEN COALESCE(l.gpu_uuid, 'unknown') END AS "SkuId",
    CASE WHEN l.source <> 'bill' THEN 'GPU Instance Hours' END AS "SkuMeter",
    CASE WHEN l.source <> 'bill' THEN '{"GpuCount":' || COALESCE(CAST(l.gpu_nums AS TEXT), 'null') || ',"InstanceType":' || json_string(COALESCE(l.gpu_name, 'unknown')) || '}' END AS "SkuPriceDetails",
    CASE WHEN l.source <> 'bill' THEN COALESCE(l.gpu_uuid, 'unknown') || '/' || COALESCE(CAST(l.gpu_nums AS TEXT), '?') || '/' || COALESCE(CAST(l.charging_type AS TEXT), '?') || '/' || COALESCE(CAST(l.price_starts_s AS TEXT), 'closed') END AS "SkuPriceId",
    CAST(NULL AS TEXT) AS "SubAccountId",
    CAST(NULL AS TEXT) AS "SubAccountName",
    CAST(NULL AS TEXT) AS "SubAccountType",
    json_of_payer(l) AS "Tags",
    yuan(l.card_microcny) AS "x_CardCost",
    yuan(l.cost_max_microcny) AS "x_CostMax",
    yuan(l.cost_min_microcny) AS "x_CostMin",
    l.source AS "x_CostSource",
    l.day AS "x_Day",
    CASE WHEN l.source <> 'bill' THEN yuan(l.cost_microcny) END AS "x_EstimatedCost",
    l.charged_s * l.gpu_nums / {HOUR_S}.0 AS "x_GpuHours",
    '#' || l.order_number AS "x_OrderNumber"
FROM _focus_line l
JOIN calendar_day c ON c.day = l.day
JOIN (
    SELECT month, MIN(starts_s) AS starts_s, MAX(ends_s) AS ends_s FROM calendar_day GROUP BY month
) m ON m.month = c.month
