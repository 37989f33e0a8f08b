"""Rules of FOCUS 1.3 for its validator: `python focus_rules_1_3.py model-1.2.json > model-1.3.json`.

The model of 1.3 is published beside the releases of the specification alone, and the validator brings that
of 1.2. These are the rules of 1.2, of which 1.3 withdraws none for our columns, and those that 1.3 adds to
every data set: both provider columns must be there, be text, and not be null. Whoever has the published
model names it in FOCUS_MODEL_1_3, see focus_validator.sh.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ADDED = {"HostProviderName": "075", "ServiceProviderName": "076"}
CHECKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Type", "MUST be of type String.", {"CheckFunction": "TypeString"}),
    ("Format", "MUST conform to StringHandling requirements.", {"CheckFunction": "FormatString"}),
    ("Nullability", "MUST NOT be null.", {"CheckFunction": "CheckNotValue", "Value": None}),
)


def rules_of_1_3(model: dict[str, Any]) -> dict[str, Any]:
    """Return the model with the rules that 1.3 adds."""
    model["Details"] = {"ModelVersion": "1.3", "FOCUSVersion": "1.3"}
    rules = model["ModelRules"]
    for column, number in ADDED.items():
        presence, whole = f"CostAndUsage-D-{number}-M", f"{column}-C-000-M"
        checks = dict(_checks(column))
        rules[presence] = _rule(
            "Presence",
            column,
            f"{column} MUST be present in a Cost and Usage FOCUS dataset.",
            {"CheckFunction": "ColumnPresent", "ColumnName": column},
        ) | {"EntityType": "Dataset"}
        rules |= checks
        rules[whole] = _rule(
            "Composite",
            column,
            f"{column} adheres to the following requirements:",
            {"CheckFunction": "AND", "Items": [_check(name) for name in checks]},
            [presence, *checks],
        )
        _demand(rules["CostAndUsage-D-001-M"], presence)
        _demand(rules["CostAndUsage-D-002-M"], whole)
    return model


def _checks(column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, (function, words, check) in enumerate(CHECKS, 1):
        asked = {**check, "ColumnName": column}
        yield f"{column}-C-00{number}-M", _rule(function, column, f"{column} {words}", asked)


def _rule(
    function: str, column: str, words: str, asked: dict[str, Any], needs: list[str] | None = None
) -> dict[str, Any]:
    return {
        "Function": function,
        "Reference": column,
        "EntityType": "Column",
        "Notes": "",
        "ModelVersionIntroduced": "1.3",
        "Status": "Active",
        "ApplicabilityCriteria": [],
        "Type": "Static",
        "ValidationCriteria": {
            "MustSatisfy": words,
            "Keyword": "MUST",
            "Requirement": asked,
            "Condition": {},
            "Dependencies": needs or [],
        },
    }


def _check(rule: str) -> dict[str, str]:
    return {"CheckFunction": "CheckModelRule", "ModelRuleId": rule}


def _demand(composite: dict[str, Any], rule: str) -> None:
    criteria = composite["ValidationCriteria"]
    criteria["Requirement"]["Items"].append(_check(rule))
    criteria["Dependencies"].append(rule)


if __name__ == "__main__":
    print(json.dumps(rules_of_1_3(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
