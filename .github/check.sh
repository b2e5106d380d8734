#!/usr/bin/env bash
# What the action does: install tunproof apart from everything else, check, and show the summary. Its inputs come in
# variables, never in the text of a script. TUNPROOF names a tunproof that is installed already.
set -euo pipefail

words() { # split a command line as a shell does, and expand nothing
    python3 -c 'import shlex, sys; sys.stdout.write("".join(f"{word}\0" for word in shlex.split(sys.argv[1])))' "$1"
}

if [[ -z ${TUNPROOF:-} ]]; then
    TUNPROOF=$RUNNER_TEMP/tunproof/bin/tunproof
    python3 -m venv "$RUNNER_TEMP/tunproof" || exit 3
    "$RUNNER_TEMP/tunproof/bin/pip" install --quiet -- "${INPUT_VERSION:-$GITHUB_ACTION_PATH}" || exit 3
fi

split=$(mktemp)
trap 'rm -f "$split"' EXIT
words "$INPUT_ADAPTER" >"$split" || exit 2
mapfile -d '' adapter <"$split"
words "$INPUT_ARGS" >"$split" || exit 2
mapfile -d '' more <"$split"

options=(--report "$INPUT_REPORT")
[[ -z $INPUT_SELECT ]] || options+=(--select "$INPUT_SELECT")
[[ -z $INPUT_BASELINE ]] || options+=(--baseline "$INPUT_BASELINE")
[[ -z $INPUT_MODE ]] || options+=(--mode "$INPUT_MODE")

rm -f -- "$INPUT_REPORT/summary.md" # of an earlier step
code=0
"$TUNPROOF" check "${options[@]}" "${more[@]}" -- "${adapter[@]}" || code=$?

if [[ -f $INPUT_REPORT/summary.md ]]; then
    cat -- "$INPUT_REPORT/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
printf 'report=%s\nexit-code=%d\n' "$INPUT_REPORT" "$code" >>"$GITHUB_OUTPUT"
exit "$code"
