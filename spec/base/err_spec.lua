local base = require "spec.support.base"
local ffi = require "ffi"
local C = base.C

describe("what went wrong", function()
  local diag = ffi.new "struct diag"
  local room = ffi.sizeof(diag.text) - 1

  it("is told as it was given where that fits", function()
    for _, text in ipairs { "", "no", ("x"):rep(room) } do
      assert.equal(C.ERR_DISK, C.diag_put(diag, C.ERR_DISK, base.bytes(text)))
      assert.equal(text, ffi.string(diag.text))
      assert.equal(C.ERR_DISK, diag.code)
    end
  end)

  it("is cut at a character, whether it was formatted or not", function()
    for shift = 0, 3 do
      local letters = math.floor((room - shift) / 3)
      local long, told = ("x"):rep(shift) .. ("\226\130\172"):rep(room), ("x"):rep(shift) .. ("\226\130\172"):rep(letters)
      C.diag_put(diag, C.ERR_DISK, base.bytes(long))
      assert.equal(told, ffi.string(diag.text))
      C.diag_set(diag, C.ERR_DISK, "%s", long)
      assert.equal(told, ffi.string(diag.text))
    end
  end)
end)
