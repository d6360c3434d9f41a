#!/usr/bin/env bash
# Run a target of the Makefile as a suite of `make test-all`: output to build/tests/TARGET.log, a row
# to build/tests/table, and the report of the first failure to the terminal.
set -u
target=$1 log=build/tests/$1.log began=$SECONDS result=passed

# The jobs of make that runs suites side by side are not those of the suite's own make.
unset MAKEFLAGS MAKELEVEL MFLAGS
echo "$target …"
PYTEST_ADDOPTS="--maxfail=1 --color=no --quiet" make --no-print-directory "$target" \
  < /dev/null > "$log" 2>&1 || result=FAILED

# Prints how many tests had an outcome, by pytest's summaries.
count() { grep -oE "[0-9]+ $1\b" "$log" | awk '{ sum += $1 } END { if (sum) print sum }'; }
{
  printf '%-15s %-7s %7s %8s %8d\n' "$target" "$result" "$(count passed)" "$(count skipped)" \
    $((SECONDS - began))
  # A suite that was skipped says why.
  [ -n "$(count passed)" ] || sed -nE 's/^SKIPPED .*: (.+)$/    skipped: \1/p' "$log" | tail -n 1
} | tee -a build/tests/table
[ "$result" = passed ] && exit
echo
# Without pytest's report, as of lint, the last lines have the reason.
grep -qE '^=+ (FAILURES|ERRORS) =+$' "$log" && sed -nE '/^=+ (FAILURES|ERRORS) =+$/,$p' "$log" ||
  tail -n 60 "$log"
exit 1
