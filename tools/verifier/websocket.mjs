// A WebSocket client: the handshake, masked frames out, whole messages in. Node 18 has none of its own.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Violation } from './violation.mjs';

const BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, CONTINUATION = 0;

function frame(opcode, payload) {
  const size = payload.length;
  const head = Buffer.alloc(size < 126 ? 6 : size < 65536 ? 8 : 14);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (size < 126 ? size : size < 65536 ? 126 : 127);
  if (head.length === 8) head.writeUInt16BE(size, 2);
  if (head.length === 14) head.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([head, payload]); // the mask is zero, which masks nothing and is as good as any on loopback
}

/** What stands before the payload of the frame at the buffer's start; undefined while it is not all there. */
function frameHead(buffer) {
  if (buffer.length < 2) return undefined;
  const short = buffer[1] & 0x7f;
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (buffer.length < start) return undefined;
  const size = short < 126 ? short : short === 126 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
  return { opcode: buffer[0] & 0x0f, ends: (buffer[0] & 0x80) !== 0, start, size };
}

export class WebSocket {
  #socket;
  #early = Buffer.alloc(0);
  #parts = [];
  #onMessage;

  constructor(socket, early, onMessage) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    this.closed = new Promise(resolve => socket.on('close', resolve));
    socket.on('data', data => this.#receive(data));
    if (early.length > 0) this.#receive(early);
  }

  send(payload) {
    if (!this.#socket.destroyed) this.#socket.write(frame(BINARY, payload));
  }

  drop() {
    this.#socket.destroy();
  }

  #receive(data) {
    let buffer = this.#early.length > 0 ? Buffer.concat([this.#early, data]) : data;
    for (let head; (head = frameHead(buffer)) && buffer.length >= head.start + head.size; ) {
      this.#take(head, buffer.subarray(head.start, head.start + head.size));
      buffer = buffer.subarray(head.start + head.size);
    }
    this.#early = buffer;
  }

  #take(head, payload) {
    if (head.opcode === PING) this.#socket.write(frame(PONG, payload));
    if (head.opcode === CLOSE) this.#socket.end();
    if (head.opcode !== BINARY && head.opcode !== CONTINUATION) return;
    this.#parts.push(payload);
    if (!head.ends) return;
    const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#onMessage(whole);
  }
}

function request(port, path, protocol) {
  return [
    `GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: Upgrade', 'Upgrade: websocket',
    'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    `Sec-WebSocket-Protocol: ${protocol}`, '', '',
  ].join('\r\n');
}

/** A connection; `onMessage` gets each message from the first on. Rejects when the server refuses. */
export function openWebSocket(port, path, protocol, onMessage) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request(port, path, protocol)));
    let answer = Buffer.alloc(0);
    const onData = data => {
      answer = Buffer.concat([answer, data]);
      const end = answer.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', onData);
      const status = answer.subarray(0, answer.indexOf('\r\n')).toString();
      if (status.startsWith('HTTP/1.1 101')) resolve(new WebSocket(socket, answer.subarray(end + 4), onMessage));
      else reject(new Violation(`the handshake was answered with ${status}`));
    };
    socket.setNoDelay(true);
    socket.on('data', onData);
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => reject(new Violation('the connection was closed during the handshake')));
  });
}
