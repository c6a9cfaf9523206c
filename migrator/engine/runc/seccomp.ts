const EPERM = 1;
const ENOSYS = 38;

/** With the 32-bit ways into the same kernel, or they would lead round the profile. */
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** As if the kernel had none: libraries then take their other way. io_uring cannot be dumped by CRIU. */
const ABSENT = ['io_uring_setup', 'io_uring_enter', 'io_uring_register', 'clone3'];

/** Ways at the kernel or out of the container that no web application needs. */
const REFUSED = [
  ...['acct', 'add_key', 'bpf', 'clock_adjtime', 'clock_settime', 'delete_module', 'fanotify_init'],
  ...['finit_module', 'fsconfig', 'fsmount', 'fsopen', 'fspick', 'init_module', 'ioperm', 'iopl', 'kcmp'],
  ...['kexec_file_load', 'kexec_load', 'keyctl', 'lookup_dcookie', 'mount', 'mount_setattr', 'move_mount'],
  ...['move_pages', 'nfsservctl', 'open_by_handle_at', 'open_tree', 'perf_event_open', 'pivot_root'],
  ...['process_vm_readv', 'process_vm_writev', 'ptrace', 'quotactl', 'reboot', 'request_key', 'setns'],
  ...['settimeofday', 'stime', 'swapoff', 'swapon', 'sysfs', '_sysctl', 'umount', 'umount2', 'unshare'],
  ...['uselib', 'userfaultfd', 'ustat', 'vm86', 'vm86old'],
];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET: no namespaces of its own. */
const NAMESPACE_FLAGS = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000];

/**
 * The default seccomp profile: a list of what is refused. Docker's is a list of what is allowed, four hundred names
 * that age with every kernel; this one is short enough to be read, and capabilities do the rest.
 */
export function seccompProfile() {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ARCHITECTURES[process.arch] ?? [],
    syscalls: [
      { names: ABSENT, action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      { names: REFUSED, action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
      ...NAMESPACE_FLAGS.map((flag) => ({
        names: ['clone'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: EPERM,
        args: [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }],
      })),
    ],
  };
}
