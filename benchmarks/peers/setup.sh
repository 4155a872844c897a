#!/usr/bin/env bash
# Make the environments of the peers, whose pins conflict with ours.
#
#     benchmarks/peers/setup.sh [FOLDER]            of forecast_speed.py: torch first, then neuralforecast and darts
#     benchmarks/peers/setup.sh --engine [FOLDER]   of engine.py: onnxruntime and JAX
#
# FOLDER is $LONGSPAN_PEERS or $LONGSPAN_PEERS_ENGINE, or longspan-peers or longspan-peers-engine in the folder
# for temporary files. It lies outside the checkout, so that no test or linter walks through it. TORCH_INDEX
# names another index for torch alone, as in the Makefile.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
temporary="${TMPDIR:-/tmp}"
if [ "${1:-}" = --engine ]; then
    shift
    folder="${1:-${LONGSPAN_PEERS_ENGINE:-$temporary/longspan-peers-engine}}"
    peers=(onnxruntime onnx jax)
    constraints="$here/constraints-engine.txt"
    shown='^(onnxruntime|onnx|jax|jaxlib|numpy)=='
else
    folder="${1:-${LONGSPAN_PEERS:-$temporary/longspan-peers}}"
    peers=(neuralforecast 'darts[torch]')
    constraints="$here/constraints.txt"
    shown='^(torch|neuralforecast|darts|u8darts|pytorch-lightning|lightning|numpy|pandas)=='
fi
pip=("$folder/bin/python" -m pip --disable-pip-version-check --quiet)

[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
if [ "$constraints" = "$here/constraints.txt" ]; then
    "${pip[@]}" install -c "$constraints" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
fi

failed=0
for peer in "${peers[@]}"; do
    "${pip[@]}" install -c "$constraints" "$peer" || { echo "$peer could not be installed" >&2; failed=1; }
done
"$folder/bin/python" -m pip --disable-pip-version-check list --format=freeze | grep -i -E "$shown"
echo "$folder/bin/python"
exit "$failed"
