# shellcheck shell=sh
# Sourced by the scripts beside it, from the project's top directory: puts a fit deno first in PATH.
DENO_HOME=$(sh tools/toolchain.sh)
export PATH="$DENO_HOME:$PATH" DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1
# Where the network has a certificate authority of its own, it is the system's store that knows it.
export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-mozilla,system}"
