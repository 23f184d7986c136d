// Calls every method of the Kernel SDK's resources that this API serves.
//
//   kernel_sdk.mjs <process|fs|logs|computer> <API address> <folder to work in>
//
// The SDK's calls go straight to the daemon, by a route in the client's cache. What a method
// answers is checked here; that none was left out, too.

import { appendFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { equal, main } from './report.mjs';

// Read by the SDK when it is loaded: what it calls without its control plane.
process.env.KERNEL_BROWSER_ROUTING_SUBRESOURCES = 'process,fs,computer,logs/stream';
const { default: Kernel, toFile } = await import('@onkernel/sdk');

const SESSION = 'session';

function connect(address) {
  // An address that nobody answers: a call that is not routed fails at once.
  const client = new Kernel({ apiKey: 'none', baseURL: 'http://127.0.0.1:9', maxRetries: 0 });
  client.browserRouteCache.set({ sessionId: SESSION, baseURL: address, jwt: 'any' });
  return client;
}

/** A resource that remembers which of its methods were called. */
function recorded(resource) {
  const called = new Set();
  const sdk = new Proxy(resource, {
    get(target, name) {
      called.add(name);
      const value = target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  /** All methods must have been called; answers their names. */
  const check = () => {
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(resource));
    const wanted = methods.filter(name => name !== 'constructor');
    equal(wanted.filter(name => !called.has(name)), [], 'methods not called');
    return wanted;
  };
  return [sdk, check];
}

const decoded = text => Buffer.from(text, 'base64');
const bytes = async response => Buffer.from(await response.arrayBuffer());

/** The error's status; a call that succeeds is a failure of the test. */
async function refused(call) {
  try {
    await call;
  } catch (error) {
    return error.status;
  }
  throw new Error('the call succeeded');
}

/** All output by stream, and the exit code that ends it. */
async function follow(sdk, id) {
  const read = {};
  let code;
  for await (const event of await sdk.stdoutStream(id, { id: SESSION })) {
    if (event.event === 'exit') code = event.exit_code;
    else read[event.stream] = (read[event.stream] ?? '') + decoded(event.data_b64).toString('latin1');
  }
  return [read, code];
}

async function processes(client, folder) {
  const [sdk, check] = recorded(client.browsers.process);
  const script = 'printf "$GREETING"; printf wrong >&2; pwd; exit 3';
  const done = await sdk.exec(SESSION, {
    command: 'sh',
    args: ['-c', script],
    env: { GREETING: 'hello' },
    cwd: folder,
    timeout_sec: 30,
  });
  equal(done.exit_code, 3, 'exit code');
  equal(decoded(done.stdout_b64).toString(), `hello${folder}\n`, 'stdout');
  equal(decoded(done.stderr_b64).toString(), 'wrong', 'stderr');

  const cat = await sdk.spawn(SESSION, { command: 'cat' });
  const at = { id: SESSION };
  equal((await sdk.status(cat.process_id, at)).state, 'running', 'state');
  const sent = Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 256));
  const data_b64 = sent.toString('base64');
  const written = await sdk.stdin(cat.process_id, { ...at, data_b64, close: true });
  equal(written.written_bytes, sent.length, 'written');
  equal(await follow(sdk, cat.process_id), [{ stdout: sent.toString('latin1') }, 0], 'output');
  equal((await sdk.status(cat.process_id, at)).exit_code, 0, 'exit code of cat');

  const terminal = { allocate_tty: true, rows: 24, cols: 80 };
  const sleep = await sdk.spawn(SESSION, { command: 'sleep', args: ['1000'], ...terminal });
  equal((await sdk.resize(sleep.process_id, { ...at, rows: 40, cols: 100 })).ok, true, 'resize');
  equal((await sdk.kill(sleep.process_id, { ...at, signal: 'KILL' })).ok, true, 'kill');
  equal((await follow(sdk, sleep.process_id))[1], 128 + 9, 'exit code of a killed process');

  const late = sdk.exec(SESSION, { command: 'sleep', args: ['1000'], timeout_sec: 1 });
  equal(await refused(late), 408, 'status of a timeout');
  return check();
}

async function files(client, folder) {
  const [sdk, check] = recorded(client.browsers.fs);
  const at = name => join(folder, name);
  const content = Buffer.from(Array.from({ length: 256_000 }, (_, index) => index % 256));
  await sdk.createDirectory(SESSION, { path: at('dir/inner'), mode: '750' });
  await sdk.writeFile(SESSION, content, { path: at('dir/file'), mode: '640' });
  equal(Buffer.compare(await readFile(at('dir/file')), content), 0, 'content on disk');
  const read = await bytes(await sdk.readFile(SESSION, { path: at('dir/file') }));
  equal(Buffer.compare(read, content), 0, 'content read');
  const info = await sdk.fileInfo(SESSION, { path: at('dir/file') });
  equal([info.name, info.size_bytes, info.is_dir, info.mode], ['file', 256_000, false, '-rw-r-----'], 'info');
  const listed = await sdk.listFiles(SESSION, { path: at('dir') });
  equal(listed.map(entry => entry.name).sort(), ['file', 'inner'], 'listing');
  await sdk.setFilePermissions(SESSION, { path: at('dir/file'), mode: '600' });
  equal((await stat(at('dir/file'))).mode & 0o777, 0o600, 'mode');
  await sdk.move(SESSION, { src_path: at('dir/file'), dest_path: at('dir/moved') });

  const uploads = [0, 1, 2].map(async number => ({
    dest_path: at(`up/${number}`),
    file: await toFile(Buffer.from(`${number}`), `${number}`),
  }));
  await sdk.upload(SESSION, { files: await Promise.all(uploads) });
  for (const number of [0, 1, 2]) {
    equal((await readFile(at(`up/${number}`))).toString(), `${number}`, 'uploaded');
  }
  const packed = await bytes(await sdk.downloadDirZip(SESSION, { path: at('up') }));
  const zip_file = await toFile(packed, 'up.zip');
  await sdk.uploadZip(SESSION, { dest_path: at('unpacked'), zip_file });
  equal((await readFile(at('unpacked/2'))).toString(), '2', 'unpacked');

  await sdk.deleteFile(SESSION, { path: at('dir/moved') });
  await sdk.deleteDirectory(SESSION, { path: at('dir') });
  equal(await refused(sdk.readFile(SESSION, { path: at('dir/file') })), 404, 'a file that is gone');
  const watched = await watching(client, sdk, at('watched'));
  return [...check(), ...watched.map(name => `watch.${name}`)];
}

async function watching(client, fs, folder) {
  const [watch, check] = recorded(client.browsers.fs.watch);
  await mkdir(folder);
  const { watch_id } = await watch.start(SESSION, { path: folder, recursive: true });
  const events = await watch.events(watch_id, { id: SESSION });
  const path = join(folder, 'new');
  await fs.writeFile(SESSION, Buffer.from('new'), { path });
  let seen;
  for await (const event of events) {
    if (event.type !== 'CREATE') continue;
    seen = [event.path, event.name, event.is_dir];
    break;
  }
  equal(seen, [path, 'new', false], 'event');
  await watch.stop(watch_id, { id: SESSION });
  return check();
}

async function logs(client, folder) {
  const [sdk, check] = recorded(client.browsers.logs);
  const path = join(folder, 'log');
  await writeFile(path, 'first\nsecond\n');
  const seen = [];
  for await (const line of await sdk.stream(SESSION, { source: 'path', path, follow: false })) {
    seen.push(line.message);
  }
  equal(seen, ['first', 'second'], 'lines');
  const following = await sdk.stream(SESSION, { source: 'path', path, follow: true });
  await appendFile(path, 'third\n');
  for await (const line of following) {
    equal(line.message, 'third', 'a followed line');
    break;
  }
  return check();
}

async function computer(client) {
  const [sdk, check] = recorded(client.browsers.computer);
  const position = async () => {
    const { x, y } = await sdk.getMousePosition(SESSION);
    return [x, y];
  };
  await sdk.moveMouse(SESSION, { x: 200, y: 150, smooth: false });
  equal(await position(), [200, 150], 'position');
  await sdk.clickMouse(SESSION, { x: 100, y: 110, button: 'middle', num_clicks: 2, hold_keys: ['shift'] });
  await sdk.dragMouse(SESSION, { path: [[10, 10], [60, 40]], smooth: false, step_delay_ms: 1 });
  equal(await position(), [60, 40], 'position after a drag');
  await sdk.scroll(SESSION, { x: 50, y: 50, delta_y: 1 });
  await sdk.typeText(SESSION, { text: 'typed ü' });
  await sdk.pressKey(SESSION, { keys: ['Ctrl+a', 'Escape'] });
  equal((await sdk.setCursorVisibility(SESSION, { hidden: true })).ok, true, 'hidden');
  equal((await sdk.setCursorVisibility(SESSION, { hidden: false })).ok, true, 'shown');
  const signature = (await bytes(await sdk.captureScreenshot(SESSION))).subarray(0, 4);
  equal(signature.toString('latin1'), '\x89PNG', 'signature');
  const region = { x: 5, y: 6, width: 30, height: 20 };
  const picture = await bytes(await sdk.captureScreenshot(SESSION, { region }));
  equal([picture.readUInt32BE(16), picture.readUInt32BE(20)], [30, 20], 'size');
  const text = 'from the SDK: grüße 世界 🙂';
  await sdk.writeClipboard(SESSION, { text });
  equal((await sdk.readClipboard(SESSION)).text, text, 'clipboard');
  await sdk.batch(SESSION, {
    actions: [
      { type: 'move_mouse', move_mouse: { x: 7, y: 8, smooth: false } },
      { type: 'sleep', sleep: { duration_ms: 5 } },
      { type: 'type_text', type_text: { text: 'x' } },
    ],
  });
  equal(await position(), [7, 8], 'position after a batch');
  return check();
}

const scenario = work => async (address, folder) => {
  return { methods: await work(connect(address), folder) };
};

await main({
  process: scenario(processes),
  fs: scenario(files),
  logs: scenario(logs),
  computer: scenario(computer),
});
