// Files, child processes, threads, sockets and timers of node; libuv takes io_uring only where it is allowed.
const fs = require('fs'), { spawn, spawnSync, fork } = require('child_process'), http = require('http'), net = require('net');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const print = (...words) => console.log(...words);

async function files() {
  await fs.promises.mkdir('deep/er', { recursive: true });
  await fs.promises.writeFile('deep/er/file', 'text'.repeat(1000));
  await fs.promises.copyFile('deep/er/file', 'copy');
  const stat = await fs.promises.stat('copy');
  print('stat', stat.size, (stat.mode & 0o777).toString(8), (await fs.promises.readdir('.', { recursive: true })).sort().join());
  await fs.promises.rename('copy', 'moved'); await fs.promises.symlink('moved', 'link'); print(await fs.promises.readlink('link'));
  const watcher = fs.watch('.'); const seen = new Promise(done => watcher.once('change', done));
  fs.writeFileSync('watched', 'x'); await seen; watcher.close(); print('watched');
  let bytes = 0; for await (const part of fs.createReadStream('moved')) bytes += part.length; print('stream', bytes);
  const handle = await fs.promises.open('moved', 'r+'); await handle.truncate(5); await handle.sync(); await handle.datasync(); await handle.close();
  print(fs.readFileSync('moved', 'utf8')); await fs.promises.rm('deep', { recursive: true }); fs.accessSync('moved');
}
async function children() {
  const done = spawnSync('sh', ['-c', 'cat; exit 3'], { input: 'through' }); print(done.status, done.stdout.toString());
  const child = spawn('sleep', ['60']); const end = new Promise(done => child.on('exit', (code, signal) => done(signal)));
  child.kill(); print(await end);
  const other = fork(__filename, ['child']); const answer = new Promise(done => other.on('message', done)); other.send(20); print(await answer);
  await new Promise(done => other.on('exit', done));
}
async function threads() {
  const memory = new SharedArrayBuffer(4);
  const ends = [1, 2, 3].map(n => new Promise((done, failed) => new Worker(__filename, { workerData: { n, memory } }).on('error', failed).on('exit', done)));
  print((await Promise.all(ends)).join(), new Int32Array(memory)[0]);
}
async function sockets() {
  const server = http.createServer((asked, answer) => answer.end(`you asked for ${asked.url}`)); await new Promise(done => server.listen(0, '127.0.0.1', done));
  const got = await fetch(`http://127.0.0.1:${server.address().port}/this`); print(got.status, await got.text()); server.closeAllConnections(); server.close();
  const local = net.createServer(s => s.pipe(s)); await new Promise(done => local.listen('./socket', done));
  const client = net.connect('./socket'); client.end('echo'); print((await client.toArray()).join('')); local.close();
  print((await require('dns').promises.lookup('localhost', { family: 4 })).address);
  const udp = require('dgram').createSocket('udp4'); await new Promise(done => udp.bind(0, '127.0.0.1', done));
  const message = new Promise(done => udp.once('message', m => done(m.toString()))); udp.send('datagram', udp.address().port, '127.0.0.1'); print(await message); udp.close();
}
async function rest() {
  const crypto = require('crypto'), zlib = require('zlib'), os = require('os');
  print(crypto.createHash('sha256').update('x').digest('hex'), (await crypto.promises?.randomBytes?.(3) ?? crypto.randomBytes(3)).length);
  print(zlib.gunzipSync(await new Promise(done => zlib.gzip('zipped', (e, b) => done(b)))).toString());
  print(crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.asymmetricKeyType, os.cpus().length > 0, os.totalmem() > 0, process.memoryUsage().rss > 0);
  process.once('SIGUSR2', () => print('signal')); process.kill(process.pid, 'SIGUSR2'); await new Promise(done => setTimeout(done, 50));
  print(WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), os.getPriority(), process.getuid() === os.userInfo().uid);
}
async function all() { for (const part of [files, children, threads, sockets, rest]) await part(); }
if (process.argv[2] === 'child') process.once('message', n => { process.send(n + 1, () => process.disconnect()); });
else if (isMainThread) all().catch(error => { print(error); process.exit(1); });
else Atomics.add(new Int32Array(workerData.memory), 0, workerData.n);
