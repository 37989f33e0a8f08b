"""A simulated cloud, bundled: for `chenyu-etl demo`, for tests, and for trying things out.

A `Fleet` lives by people's habits and knows the truth; a `Story` is a fleet that a test scripts;
`serve` puts either behind real HTTP, with whatever `Behaviour` a bad day brings.
"""

from etl.simcloud.behaviour import ANY, Behaviour, Fail
from etl.simcloud.fleet import Fleet
from etl.simcloud.habits import Habits
from etl.simcloud.life import FOREVER, Life, Options, Restart, Run, Span, Timer, Twist
from etl.simcloud.record import LEAK_MARK, gpu_uuid
from etl.simcloud.server import Request, Route, Server, serve
from etl.simcloud.story import T0, Story

__all__ = [
    "ANY",
    "FOREVER",
    "LEAK_MARK",
    "T0",
    "Behaviour",
    "Fail",
    "Fleet",
    "Habits",
    "Life",
    "Options",
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
    "serve",
]
