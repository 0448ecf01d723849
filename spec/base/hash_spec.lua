local base = require "spec.support.base"

local function counted(size)
  local chars = {}
  for idx = 0, size - 1 do chars[idx + 1] = string.char(idx % 251) end
  return table.concat(chars)
end

describe("crc32c", function()
  it("gives the sums of RFC 3720, B.4", function()
    local up, down = {}, {}
    for idx = 0, 31 do
      up[idx + 1] = string.char(idx)
      down[idx + 1] = string.char(31 - idx)
    end
    assert.equal(0x8a9136aa, base.crc32c(("\0"):rep(32)))
    assert.equal(0x62a8ab43, base.crc32c(("\255"):rep(32)))
    assert.equal(0x46dd794e, base.crc32c(table.concat(up)))
    assert.equal(0x113fdb5c, base.crc32c(table.concat(down)))
    assert.equal(0xe3069283, base.crc32c "123456789")
    assert.equal(0, base.crc32c "")
  end)

  it("gives the same with and without the processor's instruction, at every size", function()
    local text = counted(300)
    for size = 0, 300 do
      assert.equal(base.crc32c_portable(text:sub(1, size)), base.crc32c(text:sub(1, size)))
    end
  end)

  it("goes on from an earlier sum", function()
    local text = counted(100)
    for cut = 0, 100 do
      assert.equal(base.crc32c(text), base.crc32c(text:sub(cut + 1), base.crc32c(text:sub(1, cut))))
    end
  end)
end)

describe("blake3", function()
  -- From the test vectors of the BLAKE3 team: the input repeats the bytes 0 to 250.
  local vectors = {
    [0] = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    [1] = "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    [1023] = "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    [1024] = "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    [1025] = "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
    [2048] = "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
    [2049] = "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
    [3072] = "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
    [3073] = "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
    [31744] = "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
    [102400] = "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
  }

  it("gives the published digests on both sides of block, chunk and tree borders", function()
    for size, expected in pairs(vectors) do
      assert.equal(expected, base.blake3(counted(size)), size)
    end
  end)
end)

describe("keccak256", function()
  it("gives the published digests of the original padding", function()
    assert.equal("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", base.keccak256 "")
    assert.equal("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45", base.keccak256 "abc")
    assert.equal("4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
      base.keccak256 "The quick brown fox jumps over the lazy dog")
  end)

  it("takes inputs around its rate of 136 bytes without losing any", function()
    local seen = {}
    for size = 130, 280 do
      local digest = base.keccak256(("a"):rep(size))
      assert.is_nil(seen[digest])
      seen[digest] = true
    end
  end)
end)

describe("hash_bytes", function()
  it("tells apart texts of every size that differ in one byte", function()
    local seen = {}
    for size = 0, 80 do
      for place = 0, size do
        local text = ("x"):rep(size)
        if place > 0 then text = text:sub(1, place - 1) .. "y" .. text:sub(place + 1) end
        local hash = tostring(base.C.hash_bytes(text, size))
        assert.is_nil(seen[hash])
        seen[hash] = true
      end
    end
  end)
end)
