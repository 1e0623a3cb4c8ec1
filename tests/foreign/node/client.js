// The scenario (../scenario.md) by grpc-js, a gRPC written in JavaScript on Node's own HTTP/2.
'use strict';

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');
const path = require('path');

const [address, name, protos] = process.argv.slice(2);
const WAIT = 20000;
const files = ['belief/v1/belief.proto', 'grpc/health/v1/health.proto', 'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto'];
const loaded = grpc.loadPackageDefinition(protoLoader.loadSync(files, {
  includeDirs: [protos], keepCase: true, longs: String, defaults: true, enums: Number,
}));
const types = new protobuf.Root();
types.resolvePath = (origin, target) => path.join(protos, target);
types.loadSync(['belief/v1/belief.proto', 'google/rpc/status.proto'], { keepCase: true });
const BeliefError = types.lookupType('belief.v1.Error');
const Status = types.lookupType('google.rpc.Status');
const serving = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

const credentials = grpc.credentials.createInsecure();
const belief = new loaded.belief.v1.Belief(address, credentials);
const health = new loaded.grpc.health.v1.Health(address, credentials);

const say = (...words) => console.log(words.join(' '));
const within = (ms) => ({ deadline: new Date(Date.now() + ms) });
const observation = (n, dim) => Array.from({ length: dim }, (_, i) => (((7 * n + 3 * i) % 11) - 5) / 8);
const reward = (n) => ((n % 5) - 2) / 4;
const code = (error) => grpc.status[error.code];

function hexOf(floats) {
  const bytes = Buffer.alloc(4 * floats.length);
  floats.forEach((x, i) => bytes.writeFloatLE(x, 4 * i));
  return bytes.toString('hex') || '-';
}

function sayAction(word, a) {
  say(word, a.seq, a.status, a.count, a.digest.toString('hex'), hexOf(a.action));
}

function sayOpened(o) {
  say('open', o.epoch, Number(o.resumed), o.task, o.seq, o.count, o.model.observation_dim, o.model.action_dim);
}

function ask(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, within(WAIT), (error, reply) => (error ? reject(error) : resolve(reply)));
  });
}

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('a call that must be refused was answered');
}

async function sayRefused(word, promise) {
  const error = await refusal(promise);
  const [details] = error.metadata.get('grpc-status-details-bin');
  let told = { field: '', limit: 0 };
  let named = '-';
  if (details) {
    const status = Status.decode(details);
    if (status.code !== error.code || status.details[0].type_url !== 'type.googleapis.com/belief.v1.Error')
      throw new Error('the details are of another error');
    told = BeliefError.decode(status.details[0].value);
    named = types.lookupEnum('belief.v1.Error.Code').valuesById[told.code];
  }
  say(word, code(error), named, told.field || '-', String(told.limit));
}

// What a stream brings, one after the other, and how it ends.
class Stream {
  constructor(call) {
    this.call = call;
    this.waiting = [];
    this.come = [];
    this.ended = new Promise((resolve) => call.on('status', (status) => resolve(grpc.status[status.code])));
    this.failed = new Promise((resolve, reject) => call.on('error', reject));
    this.failed.catch(() => {});
    call.on('data', (message) => (this.waiting.length ? this.waiting.shift()(message) : this.come.push(message)));
  }

  next() {
    if (this.come.length)
      return Promise.resolve(this.come.shift());
    return Promise.race([new Promise((resolve) => this.waiting.push(resolve)), this.failed]);
  }
}

async function watch(word, ms, cancel) {
  const stream = new Stream(health.Watch({}, within(ms)));
  const { status } = await stream.next();
  if (cancel)
    stream.call.cancel();
  say(word, serving[status], await stream.ended);
}

async function services(version) {
  const client = new loaded.grpc.reflection[version].ServerReflection(address, credentials);
  const stream = new Stream(client.ServerReflectionInfo(within(WAIT)));
  stream.call.write({ list_services: '*' });
  const reply = await stream.next();
  stream.call.end();
  await stream.ended;
  client.getChannel().close();
  say('services', reply.list_services_response.service.map((s) => s.name).sort().join(','));
}

async function main() {
  say('health', serving[(await ask(health, 'Check', {})).status]);
  say('health-unknown', code(await refusal(ask(health, 'Check', { service: 'nobody' }))));
  say('hello', (await ask(belief, 'Hello', { client: 'foreign/node' })).protocol);

  const opened = await ask(belief, 'Open', { session: name });
  sayOpened(opened);
  const dim = opened.model.observation_dim;
  const actions = opened.model.action_dim;
  const step = (n, epoch = opened.epoch, numbers = dim) => ({
    session: name, epoch, seq: n, observation: observation(n, numbers), reward: reward(n),
  });

  const act = { session: name, epoch: opened.epoch, seq: 1, observation: observation(1, dim) };
  sayAction('act', await ask(belief, 'Act', act));
  for (let n = 2; n < 12; n++)
    sayAction('step', await ask(belief, 'Step', step(n)));
  sayAction('again', await ask(belief, 'Step', step(11)));

  const transitions = [3, 1, 2, 3].map((n) => ({
    seq: n, observation: observation(n, dim), action: new Array(actions).fill(0.25), reward: reward(n),
    next_observation: observation(n + 1, dim),
  }));
  const observed = await ask(belief, 'Observe', { session: name, epoch: opened.epoch, writer: 5, transitions });
  say('observe', observed.status.join(','), observed.count, observed.digest.toString('hex'));

  const steps = new Stream(belief.Steps(within(WAIT)));
  for (let n = 12; n < 17; n++) {
    steps.call.write(step(n));
    sayAction('stream', await steps.next());
  }
  steps.call.end();
  say('stream-end', await steps.ended);

  const state = await ask(belief, 'GetBelief', { session: name, epoch: opened.epoch, sums: true });
  const heads = state.heads.map((h) => `${h.name}:${h.sums.length}`);
  say('belief', state.count, state.digest.toString('hex'), heads.join(','));

  await sayRefused('wrong-dims', ask(belief, 'Step', step(17, opened.epoch, 1)));
  await sayRefused('out-of-step', ask(belief, 'Step', step(40)));
  const refused = new Stream(belief.Steps(within(WAIT)));
  refused.call.write(step(17, opened.epoch, 1));
  await sayRefused('stream-refused', refused.next());

  const again = await ask(belief, 'Open', { session: name });
  sayOpened(again);
  await sayRefused('fenced', ask(belief, 'Step', step(17)));
  const done = await ask(belief, 'Reset', { session: name, epoch: again.epoch, scope: 1, task: 1 });
  say('reset', done.task, done.count);

  say('unknown-method', code(await refusal(new Promise((resolve, reject) => {
    belief.makeUnaryRequest('/belief.v1.Belief/Nothing', (x) => x, (x) => x, Buffer.alloc(0), within(WAIT),
      (error, reply) => (error ? reject(error) : resolve(reply)));
  }))));
  await watch('watch', 200, false);
  await watch('cancel', WAIT, true);
  await ask(belief, 'Ping', {});
  say('ping ok');
  await services('v1');
  await services('v1alpha');
  await ask(belief, 'Close', { session: name, epoch: again.epoch, forget: true });
  say('close ok');
  await sayRefused('gone', ask(belief, 'Step', step(18, again.epoch)));
  belief.getChannel().close();  // close() is one of its calls
  health.getChannel().close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
