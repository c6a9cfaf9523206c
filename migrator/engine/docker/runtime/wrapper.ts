/** Where a container that is moved here is announced to the runtime: a directory named by its full id. On tmpfs. */
export const ANNOUNCED_DIR = '/run/holdfast/docker';

/** Names in the directory of an announced container: the wrapper and `announcement.ts` meet there. */
export const Announced = {
  /** A FIFO that the agent holds open for writing: `restore` comes out of it, or its end. */
  order: 'order',
  /** Made by the wrapper when it waits: the bundle's config.json. */
  waiting: 'waiting',
  /** Arguments for `runc restore`, one on each line. */
  arguments: 'arguments',
  /** CRIU's configuration file for the restore. */
  criuConfig: 'criu.conf',
  /** Of the network namespace, which a restore begins with anew: `net/ipv4/…=VALUE` on each line. */
  sysctls: 'sysctls',
  /** What `start` does with the stopped processes: see `AtStart`. */
  atStart: 'at-start',
} as const;

export const AtStart = {
  /** They go on when Docker has made the container's network and starts it. */
  resume: 'resume',
  /** They stay stopped. */
  stay: 'stay',
} as const;
export type AtStart = (typeof AtStart)[keyof typeof AtStart];

/**
 * The OCI runtime that Docker is given: a shell script, so that an ordinary container is not kept waiting for anything to
 * load. For a container that is not announced it becomes runc at once.
 *
 * - An announced container is never created afresh, whatever becomes of agent and announcement: it may be running elsewhere.
 * - What CRIU restores stays stopped until Docker calls `start`: it runs only with its network, and if Docker cannot make
 *   that, it has never run here.
 * - After a restore nothing is left but one file in runc's own directory of the container, which runc removes with it. A
 *   container that is started once more is one as all others.
 */
export const WRAPPER = String.raw`#!/bin/sh
# Holdfast's runtime for Docker: runc, except that a container which is moved here is restored from its checkpoint.
# Put here by "gateway agent install"; "gateway agent uninstall" takes it away.
# CRIU calls this, too, at each stage of restoring a container with connections to itself: those need a loopback device
# that is up, and Docker sees to the network only afterwards.
case $CRTOOLS_SCRIPT_ACTION in
'') ;;
setup-namespaces) exec nsenter -t "$CRTOOLS_INIT_PID" -n -- ip link set lo up ;;
*) exit 0 ;;
esac
set -u
announced=${ANNOUNCED_DIR}

fail() {
  printf '{"level":"error","msg":"holdfast: %s"}\n' "$1" >>"$log"
  exit 1
}

# Children first. A list is expanded before its loop begins, so the recursion may use the same names.
resume() {
  for thread in /proc/"$1"/task/*; do
    children=
    read -r children <"$thread/children"
    for child in $children; do resume "$child"; done
  done
  kill -CONT "$1"
}

command= root=/run/runc log=/dev/null bundle= pid_file= previous= seen=0 globals=0 word=
for word; do
  case $previous in
  --root) root=$word ;;
  --log) log=$word ;;
  --bundle) bundle=$word ;;
  --pid-file) pid_file=$word ;;
  esac
  case $word in
  create | start) [ -n "$command" ] || command=$word globals=$seen ;;
  esac
  previous=$word seen=$((seen + 1))
done
id=$word
dir=$announced/$id
restored=$root/$id/holdfast

if [ "$command" = start ] && [ -f "$restored" ]; then
  read -r at_start pid <"$restored"
  [ "$at_start" = stay ] || resume "$pid"
  exit 0
fi
[ "$command" = create ] && [ -d "$dir" ] || exec runc "$@"

[ -p "$dir/${Announced.order}" ] && [ ! -e "$dir/${Announced.waiting}" ] || fail 'its move to this host is over'
# To open a FIFO for reading alone waits for a writer, who may have died. With the end of the last writer reading ends.
exec 3<>"$dir/${Announced.order}" 4<"$dir/${Announced.order}" 3>&-
cp "$bundle/config.json" "$dir/new" && mv "$dir/new" "$dir/${Announced.waiting}" || fail 'it could not be announced'
order=
read -r order <&4
exec 4<&-
[ "$order" = restore ] || fail 'its move to this host was called off'

# "GLOBALS create …" becomes "GLOBALS restore …".
rest=$((seen - globals))
while [ "$globals" -gt 0 ]; do
  set -- "$@" "$1"
  shift
  globals=$((globals - 1))
done
shift "$rest"
set -- "$@" restore --detach --bundle "$bundle" --pid-file "$pid_file"
while read -r word; do
  set -- "$@" "$word"
  [ "$word" != --tcp-established ] || printf 'action-script %s\n' "$0" >>"$dir/${Announced.criuConfig}"
done <"$dir/${Announced.arguments}"
CRIU_CONFIG_FILE=$dir/${Announced.criuConfig} runc "$@" "$id" || exit

pid=
read -r pid <"$pid_file"
set_all='while IFS== read -r name value; do echo "$value" >/proc/sys/$name || exit; done'
nsenter -t "$pid" -n -- /bin/sh -c "$set_all" <"$dir/${Announced.sysctls}" || fail 'its sysctls could not be set'
read -r at_start <"$dir/${Announced.atStart}"
printf '%s %s\n' "$at_start" "$pid" >"$restored" || fail 'its restore could not be noted down'
rm -rf "$dir"
`;
