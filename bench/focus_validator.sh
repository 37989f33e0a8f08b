#!/usr/bin/env bash
# What the validator of FOCUS says of an export: bench/focus_validator.sh FILE.csv [1.2|1.3]
# Its environment of its own (some 650 MB, Python 3.12 or newer: PYTHON=python3.12) is kept in
# FOCUS_VENV. It judges strings as ASCII: Chinese titles and remarks fail its format checks.
# It brings the rules of 1.2. Those of 1.3 are FOCUS_MODEL_1_3, the model-1.3.json of a release of the
# specification, else the rules of 1.2 with what 1.3 adds to every data set (focus_rules_1_3.py).
set -euo pipefail
here=$(dirname "$(realpath "$0")")
file=$(realpath "$1")
version=${2:-1.2}
venv=${FOCUS_VENV:-$HOME/.cache/chenyu-etl-focus}
if [ ! -x "$venv/bin/focus-validator" ]; then
    "${PYTHON:-python3.12}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'focus-validator==2.2.1' 'pyarrow<25'
fi
room=$(mktemp -d)
trap 'rm -r "$room"' EXIT
cd "$room"
mkdir -p focus_validator/rules
rules=$("$venv/bin/python" -c 'import focus_validator, os; print(os.path.dirname(focus_validator.__file__))')/rules
cp "$rules"/currency_codes.csv "$rules"/model-1.2*.json focus_validator/rules/
if [ -n "${FOCUS_MODEL_1_3:-}" ]; then
    cp "$FOCUS_MODEL_1_3" focus_validator/rules/model-1.3.json
else
    python3 "$here/focus_rules_1_3.py" "$rules"/model-1.2*.json > focus_validator/rules/model-1.3.json
fi
"$venv/bin/focus-validator" --data-file "$file" --validate-version "$version" --rule-set-path focus_validator/rules \
    --block-download --show-violations \
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
