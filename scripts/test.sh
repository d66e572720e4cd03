#!/usr/bin/env bash
# Runs all checks and tests, then the demo; fails if any of them fails. The first start sets up
# .venv.
#
#   bash scripts/test.sh [PYTEST ARGUMENT...]
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
bash scripts/setup.sh test || exit 1
bin=.venv/bin
failed=()

check() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed+=("$name")
}

check 'lint' $bin/ruff check .
check 'format' $bin/ruff format --check .
check 'imports' $bin/lint-imports
# pytest's own limits end no test that hangs outside Python.
check 'tests' timeout --foreground --kill-after=30 45m $bin/python -m pytest --timeout=300 --durations=5 "$@"
demo_pictures=$(mktemp -d)
trap 'rm -rf "$demo_pictures"' EXIT
check 'demo' bash scripts/demo.sh --seconds 3 --output "$demo_pictures"

printf '\n'
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
printf 'All checks and tests passed.\n'
