// The one WebSocket of the page, and the documents that it keeps up to date, by the name of their channel.
import { merge } from "./patch.js";

export const connection = $state({ state: "connecting", documents: {} });

const wanted = new Map(); // channel -> how many want it
let socket = null;
let pause = 500;

function take(message) {
  const known = connection.documents[message.channel];
  if (message.snapshot) connection.documents[message.channel] = message.snapshot;
  else if (message.patch && known) merge(known, message.patch);
}

function open() {
  socket = new WebSocket(new URL("ws", location.href.replace(/^http/, "ws")));
  socket.onopen = () => {
    pause = 500;
    connection.state = "live";
    for (const channel of wanted.keys()) socket.send(JSON.stringify({ subscribe: channel }));
  };
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => {
    connection.state = "lost";
    setTimeout(open, pause);
    pause = Math.min(pause * 2, 10_000);
  };
}

export function want(channel) {
  wanted.set(channel, (wanted.get(channel) ?? 0) + 1);
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ subscribe: channel }));
  return () => {
    const left = wanted.get(channel) - 1;
    if (left) return wanted.set(channel, left);
    wanted.delete(channel);
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ unsubscribe: channel }));
  };
}

want("overview");
open();
