local base = require "spec.support.base"
local ffi = require "ffi"
local C = base.C

local function is_utf8(text) return C.text_is_utf8(base.bytes(text)) end

describe("text", function()
  it("takes well-formed UTF-8 for what it is", function()
    for _, text in ipairs { "", "plain", "\194\128", "\223\191", "\224\160\128", "\237\159\191", "\238\128\128",
                            "\239\191\191", "\240\144\128\128", "\244\143\191\191", "nul \0 is fine",
                            "0123456\195\164bc" } do
      assert.is_true(is_utf8(text), text)
    end
  end)

  it("refuses overlong forms, surrogates, too large and broken characters, wherever they stand", function()
    for _, bad in ipairs { "\128", "\191", "\192\128", "\193\191", "\224\128\128", "\224\159\191", "\237\160\128",
                           "\237\191\191", "\240\128\128\128", "\240\143\191\191", "\244\144\128\128",
                           "\245\128\128\128",
                           "\254", "\255", "\194", "\224\160", "\240\144\128", "\194\194", "\226\130\40" } do
      for before = 0, 9 do
        assert.is_false(is_utf8(("a"):rep(before) .. bad .. "tail"))
        assert.is_false(is_utf8(("a"):rep(before) .. bad))
      end
    end
  end)

  it("writes hex in lower case and reads either", function()
    assert.equal("00ff1a", base.written(C.hex_encode, base.bytes "\0\255\26"))
    local out = ffi.new "uint8_t[3]"
    assert.is_true(C.hex_decode(base.bytes "00Ff1A", out, 3))
    assert.equal("\0\255\26", ffi.string(out, 3))
  end)

  it("refuses hex of another length or with other characters", function()
    local out = ffi.new "uint8_t[3]"
    for _, bad in ipairs { "", "00ff1", "00ff1a0", "00ff1a00", "00ff1g", "0x00ff", "00 f1a" } do
      assert.is_false(C.hex_decode(base.bytes(bad), out, 3), bad)
    end
  end)

  it("finds the name that was meant", function()
    local names = { "user", "message", "send_message", "set_name" }
    assert.equal("user", base.nearest("users", names))
    assert.equal("user", base.nearest("USER", names))
    assert.equal("user", base.nearest("uesr", names))
    assert.equal("send_message", base.nearest("sendMessage", names))
    assert.equal("message", base.nearest("messgae", names))
    assert.equal("set_name", base.nearest("setname", names))
  end)

  it("does not guess when nothing is near", function()
    local names = { "user", "message" }
    for _, wanted in ipairs { "", "x", "ab", "account", "position", ("long"):rep(1000) } do
      assert.is_nil(base.nearest(wanted, names))
    end
    assert.is_nil(base.nearest("user", {}))
  end)

  it("takes a file's number from its name, and from no other name", function()
    local number = ffi.new "uint64_t[1]"
    local function number_of(name) return C.text_numbered(name, ".wal", number) and number[0] or nil end
    assert.equal(7ULL, number_of "00000000000000000007.wal")
    assert.equal(18446744073709551615ULL, number_of "18446744073709551615.wal")
    for _, name in ipairs { "", "7.wal", "0000000000000000000.wal", "000000000000000000007.wal", "00000000000000000007",
      "00000000000000000007.wal.new", "0000000000000000000x.wal", "18446744073709551616.wal", "99999999999999999999.wal" } do
      assert.is_nil(number_of(name), name)
    end
  end)

  it("orders bytes as a dictionary does", function()
    local function order(left, right) return C.bytes_compare(base.bytes(left), base.bytes(right)) end
    assert.is_true(order("a", "b") < 0)
    assert.is_true(order("a", "ab") < 0)
    assert.is_true(order("\255", "a") > 0)
    assert.is_true(order("", "") == 0)
  end)
end)
