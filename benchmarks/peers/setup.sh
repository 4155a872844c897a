#!/usr/bin/env bash
# Make the environment of the peers: torch first, then neuralforecast and darts, whose pins conflict with ours.
#
#     benchmarks/peers/setup.sh [FOLDER]
#
# FOLDER is $LONGSPAN_PEERS, or longspan-peers in the folder for temporary files. It lies outside the checkout,
# so that no test or linter walks through it. TORCH_INDEX names another index for torch alone, as in the Makefile.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:-${LONGSPAN_PEERS:-${TMPDIR:-/tmp}/longspan-peers}}"
pip=("$folder/bin/python" -m pip --disable-pip-version-check --quiet)

[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
"${pip[@]}" install -c "$here/constraints.txt" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch

failed=0
for peer in neuralforecast 'darts[torch]'; do
    "${pip[@]}" install -c "$here/constraints.txt" "$peer" || { echo "$peer could not be installed" >&2; failed=1; }
done
"$folder/bin/python" -m pip --disable-pip-version-check list --format=freeze |
    grep -i -E '^(torch|neuralforecast|darts|u8darts|pytorch-lightning|lightning|numpy|pandas)=='
echo "$folder/bin/python"
exit "$failed"
