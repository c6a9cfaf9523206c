#!/bin/sh
# The first process of a lab host, in fresh namespaces. Makes the host's file system, moves into it with
# pivot_root (CRIU needs a real mount root, a chroot will not do) and becomes tini, which reaps.
# Arguments: NAME, the root file system below, a directory to mount in, the repository, a directory on disk, one that all
# hosts have; then for each cgroup hierarchy its mount point, version and v1 controllers.
set -eu
name=$1 lower=$2 work=$3 repo=$4 disk=$5 shared=$6
shift 6

mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"

mkdir -p opt/holdfast srv/rootfs srv/shared var/lib/holdfast-disk etc/holdfast .old
mount --bind "$repo" opt/holdfast
mount -o remount,bind,ro opt/holdfast
# The same root file system once more, without the overlay: test containers run on it, on every host alike.
mount --bind "$lower" srv/rootfs
mount -o remount,bind,ro srv/rootfs
# Docker and podman refuse an overlay on an overlay: they keep their data here.
mount --bind "$disk" var/lib/holdfast-disk
# As storage on the network would be.
mount --bind "$shared" srv/shared

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mount -t tmpfs -o mode=755,nosuid,size=16m tmpfs dev
mkdir dev/pts dev/shm dev/mqueue dev/net
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
mount -t mqueue mqueue dev/mqueue
node() { mknod -m "$2" "dev/$1" c "$3" "$4"; }
node null 666 1 3
node zero 666 1 5
node full 666 1 7
node random 666 1 8
node urandom 666 1 9
node tty 666 5 0
node net/tun 600 10 200
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr

# In a cgroup namespace of its own the host sees its group as the root of each hierarchy.
case " $* " in *" /sys/fs/cgroup "*) ;; *) mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup ;; esac
while [ $# -gt 0 ]; do
  mkdir -p ".$1"
  if [ "$2" = 2 ]; then mount -t cgroup2 cgroup2 ".$1"; else mount -t cgroup -o "$3" cgroup ".$1"; fi
  shift 3
done

hostname "$name"
echo "$name" >etc/hostname
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
echo ready
exec /usr/bin/tini -- /bin/sleep infinity >/dev/null 2>&1
