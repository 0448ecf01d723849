local ffi = require "ffi"
local core = require "spec.support.core"

describe("a shared copy", function()
  it("holds what it was made from, whatever its size", function()
    local from, text = ffi.new "struct bytes", {}
    for size = 0, 200 do
      local whole = table.concat(text)
      from.at, from.size = ffi.cast("const uint8_t *", whole), size
      local shared = core.shared_new(from)
      assert.equal(whole, ffi.string(shared.data, shared.size))
      core.shared_unref(shared)
      text[size + 1] = string.char((size * 37 + 11) % 256)
    end
  end)
end)

describe("a buffer", function()
  it("takes a formatted text of any size, whether there is room for it or not", function()
    for size = 0, 200 do
      local out, text = ffi.new "struct buf", ("x"):rep(size)
      core.buf_put_format(out, "%s", text)
      core.buf_put_format(out, "<%s>", text)
      assert.equal(text .. "<" .. text .. ">", ffi.string(out.data, out.size))
      core.buf_deinit(out)
    end
  end)
end)
