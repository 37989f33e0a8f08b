"""One self-contained HTML page: running instances, their cost, and how sure that is.

Every figure on it comes from a report of the same period, so the page and `chenyu-etl report` agree.
Charts are SVG made here: nothing off the shelf draws time that is only possible as such.
"""

from etl.page.build import build as build
from etl.page.facts import Choice as Choice
