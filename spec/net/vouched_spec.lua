local net = require "spec.support.net"
local ffi = require "ffi"

describe("Tokens that are vouched for", function()
  local vouched

  before_each(function() vouched = ffi.gc(net.core.vouched_new(), net.core.vouched_free) end)

  local function add(token) net.core.vouched_add(vouched, net.bytes(token)) end
  local function has(token) return net.core.vouched_has(vouched, net.bytes(token)) end

  it("are none at first", function()
    assert.is_false(has "")
    assert.is_false(has "token")
  end)

  it("are those that were added, and not any that differ in a bit or in length", function()
    local token = ("header.payload.signature"):rep(20)
    add(token)
    assert.is_true(has(token))
    for at = 1, #token do
      local changed = bit.bxor(token:byte(at), bit.lshift(1, at % 8))
      assert.is_false(has(token:sub(1, at - 1) .. string.char(changed) .. token:sub(at + 1)))
    end
    assert.is_false(has(token:sub(1, -2)))
    assert.is_false(has(token .. "\0"))
  end)

  it("are thousands, and no more than there is room for, the newest among them", function()
    for number = 1, 100000 do add("token " .. number) end
    local kept = 0
    for number = 1, 100000 do
      if has("token " .. number) then kept = kept + 1 end
    end
    assert.truthy(kept > 16000 and kept <= 16384, kept)
    for number = 99000, 100000 do assert.is_true(has("token " .. number)) end
  end)
end)
