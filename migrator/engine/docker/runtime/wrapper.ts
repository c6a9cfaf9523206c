/** Where a container that is moved here is announced to the runtime: a directory named by its full id. On tmpfs. */
export const ANNOUNCED_DIR = '/run/holdfast/docker';

/** Names in the directory of an announced container: the wrapper and `announcement.ts` meet there. */
export const Announced = {
  /** A FIFO that the agent holds open for writing: orders come out of it, or its end. */
  order: 'order',
  /** What runc finds as CRIU: the runtime again. */
  criu: 'criu',
  /** Made by the wrapper when it waits: the bundle's config.json. */
  waiting: 'waiting',
  /** Arguments for `runc restore`, one on each line. */
  arguments: 'arguments',
  /** CRIU's configuration file for the restore. */
  criuConfig: 'criu.conf',
  /** Made when runc has come to where it would have CRIU restore. */
  held: 'held',
  /** A FIFO that is held open for writing for as long as a restore is under way. */
  begun: 'begun',
  /** Made when it has succeeded: the first process' pid. */
  restored: 'restored',
  /** Of the network namespace, which a restore begins with anew: `net/ipv4/…=VALUE` on each line. */
  sysctls: 'sysctls',
  /** What `start` does with the stopped processes: see `AtStart`. */
  atStart: 'at-start',
} as const;

/** What the agent says, a word on each line. */
export const Order = {
  /** Have runc do what it can without images. */
  prepare: 'prepare',
  restore: 'restore',
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
 * - `create` ends as soon as CRIU has made the first process and its network namespace: Docker makes the network while the rest
 *   is restored. `start` waits for that, and so does whatever else is asked of such a container.
 * - What CRIU restores stays stopped until Docker calls `start`: it runs only with its network, and if Docker cannot make
 *   that, it has never run here.
 * - After `start` nothing is left. A container that is started once more is one as all others.
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
# runc calls this in place of CRIU, more than once: that it has mounted the root file system for CRIU tells the restore. That
# waits for its images.
case $0 in
*/${Announced.criu})
  PATH=$HOLDFAST_PATH dir=$HOLDFAST_DIR
  [ -d "$HOLDFAST_RUNC_DIR/criu-root" ] || exec criu "$@"
  exec 8<>"$dir/${Announced.order}" 9<"$dir/${Announced.order}" 8>&-
  : >"$dir/${Announced.held}"
  order=
  read -r order <&9
  exec 9<&-
  [ "$order" = ${Order.restore} ] || exit 1
  echo ordered >"$dir/${Announced.begun}"
  CRIU_CONFIG_FILE=$dir/${Announced.criuConfig} exec criu "$@"
  ;;
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

# Sets "pid" to that child of runc which is the first process of a PID namespace and has a network namespace of its own: what
# CRIU restores, from shortly after it begins.
find_first() {
  for thread in /proc/"$runc"/task/*; do
    children=
    read -r children <"$thread/children"
    for child in $children; do
      while read -r key value; do
        case $key$value in
        NSpid:*[[:space:]]1) [ "/proc/$child/ns/net" -ef /proc/self/ns/net ] || pid=$child ;;
        esac
      done <"/proc/$child/status"
    done
  done
} 2>/dev/null

command= root=/run/runc log=/dev/null bundle= pid_file= id= previous= seen=0 globals=0 word=
for word; do
  case $previous in
  --root) root=$word ;;
  --log) log=$word ;;
  --bundle) bundle=$word ;;
  --pid-file) pid_file=$word ;;
  esac
  case $word in
  create | start | delete) [ -n "$command" ] || command=$word globals=$seen ;;
  '' | *[!0-9a-f]*) ;;
  *) [ ! -d "$announced/$word" ] || id=$word ;;
  esac
  previous=$word seen=$((seen + 1))
done
[ -n "$id" ] || exec runc "$@"
dir=$announced/$id

if [ "$command" != create ] && [ -p "$dir/${Announced.begun}" ]; then
  # Its restore comes to its end first: with the last writer reading ends.
  (
    exec 3>&-
    while read -r _; do :; done
  ) 3<>"$dir/${Announced.begun}" <"$dir/${Announced.begun}" 2>/dev/null
  if [ "$command" = start ]; then
    [ -f "$dir/${Announced.restored}" ] || exit 1 # What runc had to say is in the log.
    pid= at_start=
    read -r pid <"$dir/${Announced.restored}"
    read -r at_start <"$dir/${Announced.atStart}"
    [ "$at_start" = stay ] || resume "$pid"
    rm -rf "$dir"
    exit 0
  fi
fi
[ "$command" = create ] || [ "$command" = delete ] || exec runc "$@"
if [ "$command" = delete ]; then
  # Where runc was killed, it has left the root file system mounted, and would delete what is in it; and it has made cgroups
  # that it knows nothing of.
  [ ! -d "$root/$id/criu-root" ] || umount -R -l "$root/$id/criu-root" 2>/dev/null
  runc "$@"
  ended=$?
  find /sys/fs/cgroup -depth -type d -path "*$id*" -exec rmdir {} + 2>/dev/null
  exit "$ended"
fi

[ -p "$dir/${Announced.order}" ] && [ ! -e "$dir/${Announced.waiting}" ] || fail 'its move to this host is over'
# To open a FIFO for reading alone waits for a writer, who may have died. With the end of the last writer reading ends.
exec 3<>"$dir/${Announced.order}" 4<"$dir/${Announced.order}" 3>&-
mkfifo -m 600 "$dir/${Announced.begun}" || fail 'its restore could not be waited for'
cp "$bundle/config.json" "$dir/new" && mv "$dir/new" "$dir/${Announced.waiting}" || fail 'it could not be announced'
order=
read -r order <&4
exec 4<&-
[ "$order" = ${Order.prepare} ] || fail 'its move to this host was called off'

# "GLOBALS create …" becomes "GLOBALS restore …".
rest=$((seen - globals))
while [ "$globals" -gt 0 ]; do
  set -- "$@" "$1"
  shift
  globals=$((globals - 1))
done
shift "$rest"
set -- "$@" restore --detach --bundle "$bundle" --pid-file "$dir/pid"
while read -r word; do set -- "$@" "$word"; done <"$dir/${Announced.arguments}"
ln -s "$0" "$dir/${Announced.criu}" || fail 'its restore could not be prepared'

# From here on it goes on by itself, whatever becomes of this process. What is in the background loses its standard input.
exec 5<>"$dir/${Announced.begun}" 6<"$dir/${Announced.begun}" 7<&0
(
  HOLDFAST_PATH=$PATH HOLDFAST_DIR=$dir HOLDFAST_RUNC_DIR=$root/$id PATH=$dir:$PATH runc "$@" "$id" <&7 5>&- 6<&- 7<&- &
  echo "$!" >&5
  wait "$!" && mv "$dir/pid" "$dir/${Announced.restored}"
) &
exec 5>&-
runc= ordered= pid=
read -r runc <&6
read -r ordered <&6
until find_first; [ -n "$pid" ] || [ ! -d "/proc/$runc" ]; do sleep 0.005; done
if [ -z "$pid" ]; then
  # It is over by now, and the container may have the host's network.
  while read -r _; do :; done <&6
  [ -n "$ordered" ] || [ ! -e "$dir/${Announced.held}" ] || fail 'its move to this host was called off'
  [ -f "$dir/${Announced.restored}" ] || exit 1
  read -r pid <"$dir/${Announced.restored}"
fi
set_all='while IFS== read -r name value; do echo "$value" >/proc/sys/$name || exit; done'
nsenter -t "$pid" -n -- /bin/sh -c "$set_all" <"$dir/${Announced.sysctls}" || fail 'its sysctls could not be set'
printf '%s' "$pid" >"$pid_file"
`;
