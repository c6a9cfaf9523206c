import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Give a file a new content so that, whenever the machine dies, either the old one or the new one is there, whole. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const directory = dirname(file);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  const handle = await open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const folder = await open(directory, 'r');
  try {
    await folder.sync(); // Without this a crash may bring back the file before.
  } finally {
    await folder.close();
  }
}
