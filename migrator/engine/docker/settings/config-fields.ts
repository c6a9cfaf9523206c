import { carried, type Fields, refused, translated } from './field.ts';

const TERMINAL = 'TERMINAL_ATTACHED';
const STDIN = 'whoever holds the other end of its input is at this host';
const WINDOWS = 'it is for Windows';

/** `Config`: what is said of a container without regard to its host. */
export const CONFIG_FIELDS: Fields = {
  Hostname: carried(
    '--hostname',
    "the destination's is called what the source's is, also where that is the short id Docker chose: the app has seen it",
  ),
  Domainname: carried('--domainname'),
  User: carried('--user'),
  AttachStdin: carried('--attach stdin', 'whoever is attached is not'),
  AttachStdout: carried('--attach stdout', 'whoever is attached is not'),
  AttachStderr: carried('--attach stderr', 'whoever is attached is not'),
  ExposedPorts: carried('--expose'),
  Tty: refused('--tty', 'the other end of its terminal is at this host', { code: TERMINAL }),
  OpenStdin: refused('--interactive', STDIN, { code: TERMINAL }),
  StdinOnce: refused('--interactive', STDIN, { code: TERMINAL }),
  Env: carried('--env'),
  Cmd: carried('the command'),
  Healthcheck: carried('--health-*', 'its history is not'),
  ArgsEscaped: refused('ArgsEscaped', WINDOWS),
  Image: translated('the image', 'by name where that names the same image there, else by id'),
  Volumes: carried('VOLUME, --volume'),
  WorkingDir: carried('--workdir'),
  Entrypoint: translated('--entrypoint', "one that was taken away is not replaced by the image's"),
  NetworkDisabled: carried('NetworkDisabled'),
  MacAddress: translated('--mac-address', 'told to the network it is for'),
  OnBuild: carried('ONBUILD'),
  Labels: carried(
    '--label',
    'those of docker compose too: it finds its containers by them',
    (labels) =>
      Object.keys(labels ?? {}).some((label) => label.startsWith('com.docker.swarm.'))
        ? 'com.docker.swarm.* says that it is a swarm that runs it, and would start another one'
        : undefined,
    'SWARM_SERVICE',
  ),
  StopSignal: carried('--stop-signal'),
  StopTimeout: carried('--stop-timeout'),
  Shell: carried('SHELL'),
};
