#!/usr/bin/env bash
# What the validator of FOCUS says of an export: bench/focus_validator.sh FILE.csv
# Its environment of its own (some 650 MB, Python 3.12 or newer: PYTHON=python3.12) is kept in
# FOCUS_VENV. It judges strings as ASCII: Chinese titles and remarks fail its format checks.
set -euo pipefail
file=$(realpath "$1")
venv=${FOCUS_VENV:-$HOME/.cache/chenyu-etl-focus}
if [ ! -x "$venv/bin/focus-validator" ]; then
    "${PYTHON:-python3.12}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'focus-validator==2.2.1' 'pyarrow<25'
fi
room=$(mktemp -d)
trap 'rm -r "$room"' EXIT
cd "$room"
mkdir -p focus_validator/rules
cp "$("$venv/bin/python" -c 'import focus_validator, os; print(os.path.dirname(focus_validator.__file__))')/rules/currency_codes.csv" focus_validator/rules/
"$venv/bin/focus-validator" --data-file "$file" --validate-version 1.2 --block-download --show-violations \
    --applicability-criteria PUBLIC_PRICE_LIST_SUPPORTED,USAGE_MEASUREMENT_SUPPORTED,UNIT_PRICING_SUPPORTED,BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED,RESOURCE_TYPE_ASSIGNMENT_SUPPORTED,REGION_SUPPORTED,TAGGING_SUPPORTED,ACCOUNT_NAMING_SUPPORTED \
    --output-type unittest --output-destination out.xml > out.txt 2>&1 || { tail -5 out.txt; exit 1; }
"$venv/bin/python" - <<'PYTHON'
import xml.etree.ElementTree as tree

root = tree.parse("out.xml").getroot()
print({name: root.get(name) for name in ("tests", "failures", "errors", "skipped")})
for case in root.iter("testcase"):
    if case.find("failure") is not None or case.find("error") is not None:
        print(case.get("name"))
PYTHON
