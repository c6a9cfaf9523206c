#!/usr/bin/env node
import { runProgram } from './cli/program.ts';

// `gateway apps | head` ends the reader first: that is no fault of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runProgram(process.argv.slice(2));
