// Values as bytes, as the official protocol has them: little-endian, no padding, no names.

export class Writer {
  #buffer = Buffer.alloc(256);
  #size = 0;

  #room(size) {
    while (this.#size + size > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], this.#buffer.length * 2);
    const at = this.#size;
    this.#size += size;
    return at;
  }

  u8(value) {
    const at = this.#room(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u32(value) {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  i64(value) {
    const at = this.#room(8);
    this.#buffer.writeBigInt64LE(BigInt(value), at);
    return this;
  }

  bytes(value) {
    this.u32(value.length);
    const at = this.#room(value.length);
    value.copy(this.#buffer, at);
    return this;
  }

  string(value) {
    return this.bytes(Buffer.from(value));
  }

  done() {
    return this.#buffer.subarray(0, this.#size);
  }
}

/** Reads past the end throw RangeError. Integers of 64 bits come as numbers: nothing here goes beyond 2^53. */
export class Reader {
  constructor(buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
  }

  get left() {
    return this.buffer.length - this.at;
  }

  skip(size) {
    if (size > this.left) throw new RangeError(`${size} bytes wanted, ${this.left} left`);
    this.at += size;
    return this.at - size;
  }

  u8() {
    return this.buffer[this.skip(1)];
  }

  u16() {
    return this.buffer.readUInt16LE(this.skip(2));
  }

  u32() {
    return this.buffer.readUInt32LE(this.skip(4));
  }

  u64() {
    const at = this.skip(8);
    return this.buffer.readUInt32LE(at) + this.buffer.readUInt32LE(at + 4) * 0x100000000;
  }

  i64() {
    const at = this.skip(8);
    return this.buffer.readUInt32LE(at) + this.buffer.readInt32LE(at + 4) * 0x100000000;
  }

  take(size) {
    const at = this.skip(size);
    return this.buffer.subarray(at, at + size);
  }

  bytes() {
    return this.take(this.u32());
  }

  string() {
    return this.bytes().toString();
  }

  array(read) {
    return Array.from({ length: this.u32() }, () => read(this));
  }

  option(read) {
    return this.u8() === 0 ? read(this) : undefined;
  }
}
