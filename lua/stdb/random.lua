--- Chance: xoshiro256** on the call's own state, so that a call run again draws the same.
local use = ...
local ffi = require "ffi"
local bit = require "bit"
local vm, blame = use "vm", use "blame"

local rol, lshift, rshift, bxor = bit.rol, bit.lshift, bit.rshift, bit.bxor
local tonumber, type, floor, select = tonumber, type, math.floor, select

local state = ffi.cast("uint64_t *", vm.random)

local function draw()
  local s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
  local result = rol(s1 * 5ULL, 7) * 9ULL
  local t = lshift(s1, 17)
  s2, s3 = bxor(s2, s0), bxor(s3, s1)
  s1, s0 = bxor(s1, s2), bxor(s0, s3)
  state[0], state[1], state[2], state[3] = s0, s1, bxor(s2, t), rol(s3, 45)
  return result
end

--- A number in [0, 1) with all 53 bits.
local function unit()
  if vm.in_call ~= 1 then
    blame.raise(vm.in_call == 0 and "chance belongs to a call: random can be used only inside a reducer"
      or "a view has no chance: as long as the tables stay as they are, it returns the same")
  end
  return tonumber(rshift(draw(), 11)) * (1 / 9007199254740992)
end

local function whole(value, place)
  if type(value) ~= "number" or floor(value) ~= value or value < -2 ^ 53 or value > 2 ^ 53 then
    blame.raise("bad argument #%d to 'random': expected a whole number, got %s", place, blame.show(value))
  end
end

--- As math.random: () a number in [0, 1), (m) a whole number in 1..m, (m, n) one in m..n.
local function random(...)
  local count = select("#", ...)
  if count == 0 then
    return (unit())
  end
  local low, high = ...
  if count == 1 then
    low, high = 1, low
  end
  whole(high, count)
  whole(low, 1)
  if low > high then
    blame.raise("bad argument #%d to 'random': the interval is empty", count)
  end
  return low + floor(unit() * (high - low + 1))
end

return random
