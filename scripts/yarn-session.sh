#!/usr/bin/env bash
# Flink's command of this name, carried out by kobel: $KOBEL_BIN, else the kobel beside this script, else
# the one built in this checkout, else the one on the PATH.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
PATH=$here:$here/../target/release:$PATH exec "${KOBEL_BIN:-kobel}" compat yarn-session "$@"
