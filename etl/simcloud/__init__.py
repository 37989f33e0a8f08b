"""A simulated cloud, bundled: for `chenyu-etl demo`, for tests, and for trying things out.

A `Fleet` is generated from habits of use and knows the truth; a `Story` is a fleet that a test
scripts; `Money` is their cost under a `Charging` model, and the rest. `serve` puts it all behind
real HTTP, with whatever `Behaviour` a bad day brings. No rule of the program is imported here: a
truth that shared its formulas would prove nothing.
"""

from etl.simcloud.behaviour import ANY, Behaviour, Fail
from etl.simcloud.charging import PREPAID, Charging
from etl.simcloud.desks import (
    balance,
    bills,
    cards,
    gpu_prices,
    images,
    recharges,
    workflow_runs,
)
from etl.simcloud.fleet import Fleet
from etl.simcloud.habits import Habits
from etl.simcloud.life import FOREVER, Life, Options, Restart, Run, Span, Timer, Twist
from etl.simcloud.money import Money
from etl.simcloud.prices import LISTED, Price, PriceList, microcny
from etl.simcloud.purse import Card, Ledger, Line, Recharge
from etl.simcloud.record import LEAK_MARK, gpu_uuid
from etl.simcloud.server import Request, Route, Server, serve
from etl.simcloud.story import T0, Story

BALANCE_PATH, BILL_PATH, CARD_PATH = balance.PATH, bills.PATH, cards.PATH
GPU_PATH, RECHARGE_PATH = gpu_prices.PATH, recharges.PATH
WORKFLOW_PATH, IMAGE_PATH = workflow_runs.PATH, images.PATH

__all__ = [
    "ANY",
    "BALANCE_PATH",
    "BILL_PATH",
    "CARD_PATH",
    "FOREVER",
    "GPU_PATH",
    "IMAGE_PATH",
    "LEAK_MARK",
    "LISTED",
    "PREPAID",
    "RECHARGE_PATH",
    "T0",
    "WORKFLOW_PATH",
    "Behaviour",
    "Card",
    "Charging",
    "Fail",
    "Fleet",
    "Habits",
    "Ledger",
    "Life",
    "Line",
    "Money",
    "Options",
    "Price",
    "PriceList",
    "Recharge",
    "Request",
    "Restart",
    "Route",
    "Run",
    "Server",
    "Span",
    "Story",
    "Timer",
    "Twist",
    "gpu_uuid",
    "microcny",
    "serve",
]
