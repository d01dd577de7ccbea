// The one WebSocket of the page: it is opened again when it is lost, and tells each channel what it is told.
import { Channel } from "./channel.svelte.js";
import { setClock, startClock, stopClock } from "./clock.svelte.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const SILENCE_MS = 15_000; // the server says every 5 seconds that it is there
const GOING_AWAY = [1001, 1012]; // it ends, or is started anew

// `state`: connecting, live, lost, ended (the server said that it ends), unauthorized. `asOf`: when it was told last.
export const connection = $state({ state: "connecting", asOf: Date.now(), nextTry: 0, failed: 0 });

const channels = new Map(); // name -> {channel, wanted}
let socket = null;
let timer = 0;
let watch = 0;

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function heard() {
  connection.asOf = Date.now();
  clearTimeout(watch);
  watch = setTimeout(() => socket?.close(), SILENCE_MS);
}

function taken(event) {
  heard();
  const message = JSON.parse(event.data);
  if (message.alive) setClock(message.alive);
  const channel = channels.get(message.channel)?.channel;
  if (message.error) {
    if (channel) channel.problem = message.error;
    return;
  }
  if (!channel) return;
  if (message.document) channel.replace(message.document, message.seq);
  else if (message.patch && message.seq === channel.seq + 1) channel.patch(message.patch, message.seq);
  else if (message.patch && message.seq > channel.seq) renew(message.channel);
}

// Ask for the whole document: a patch is missing between this one and the last, or there is now what there was not.
export function renew(name) {
  send({ unsubscribe: name });
  send({ subscribe: name });
}

function opened() {
  connection.state = "live";
  connection.failed = 0;
  heard();
  startClock();
  for (const name of channels.keys()) send({ subscribe: name });
}

async function closed(event) {
  clearTimeout(watch);
  socket = null;
  stopClock();
  const wasLive = connection.state === "live";
  if (!wasLive && (await refused())) {
    connection.state = "unauthorized";
    return;
  }
  if (GOING_AWAY.includes(event.code)) connection.state = "ended";
  else if (connection.state !== "ended") connection.state = "lost";
  later();
}

// A browser does not tell why a WebSocket was refused; a request does.
async function refused() {
  try {
    const answer = await fetch("api/overview", { method: "GET", cache: "no-store" });
    return answer.status === 401;
  } catch {
    return false;
  }
}

function later() {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** connection.failed, LONGEST_PAUSE_MS);
  connection.failed += 1;
  connection.nextTry = Date.now() + pause;
  clearTimeout(timer);
  timer = setTimeout(connect, pause);
}

function connect() {
  clearTimeout(timer);
  if (socket) return;
  socket = new WebSocket(new URL("ws", location.href.replace(/^http/, "ws").replace(/#.*$/, "")));
  socket.onopen = opened;
  socket.onmessage = taken;
  socket.onclose = closed;
}

// Try at once, not when the pause is over.
export function retryNow() {
  if (connection.state === "live") return;
  if (connection.state === "unauthorized") connection.state = "connecting";
  connect();
}

// The channel of that name, followed until the returned `done` is called as often as it was wanted.
export function follow(name) {
  let known = channels.get(name);
  if (!known) {
    known = { channel: new Channel(name), wanted: 0 };
    channels.set(name, known);
    send({ subscribe: name });
  }
  known.wanted += 1;
  const done = () => {
    known.wanted -= 1;
    if (known.wanted > 0) return;
    channels.delete(name);
    send({ unsubscribe: name });
  };
  return { channel: known.channel, done };
}

// Of a server that was told to answer 401 only now: a request that was refused says so here.
export function signedOut() {
  connection.state = "unauthorized";
  stopClock();
  socket?.close();
}

export function start() {
  connect();
  addEventListener("online", retryNow);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && retryNow());
}
