--- Intervals against a plain list: what holds a value, while intervals come and go.
local ffi = require "ffi"
local bsatn = require "spec.support.bsatn"
local schema = require "spec.support.schema"
local core = require "spec.support.core"
local random = math.random

--- A range of the column whose values `encode` writes; the texts live as long as it.
local function range_of(wanted, encode)
  local made = { wanted = wanted, texts = {}, range = ffi.new "struct query_range" }
  for _, side in ipairs { "lower", "upper" } do
    if wanted[side] then
      made.texts[side] = encode(wanted[side])
      made.range["has_" .. side] = true
      made.range[side .. "_inclusive"] = wanted[side .. "_inclusive"]
      made.range[side] = core.bytes(made.texts[side])
    end
  end
  return made
end

local function holds(wanted, value)
  return not (wanted.lower and (value < wanted.lower or (value == wanted.lower and not wanted.lower_inclusive)))
    and not (wanted.upper and (value > wanted.upper or (value == wanted.upper and not wanted.upper_inclusive)))
end

local function random_range(value)
  return { lower = random(5) > 1 and value() or nil, upper = random(5) > 1 and value() or nil,
    lower_inclusive = random(2) == 1, upper_inclusive = random(2) == 1 }
end

local function key_of(wanted)
  return ("%s %s %s %s"):format(tostring(wanted.lower), tostring(wanted.lower and wanted.lower_inclusive),
    tostring(wanted.upper), tostring(wanted.upper and wanted.upper_inclusive))
end

local function stab(intervals, text)
  local found = {}
  local each = ffi.cast("void (*)(void *, void *)", function(_, item)
    found[#found + 1] = tonumber(ffi.cast("uintptr_t", item))
  end)
  core.intervals_stab(intervals, ffi.cast("const uint8_t *", text), each, nil)
  each:free()
  table.sort(found)
  return found
end
jit.off(stab)

describe("intervals", function()
  local seed = tonumber(os.getenv "STDB_SEED") or os.time()
  local kinds = {
    { type = "i16", value = function() return random(-40, 40) end },
    { type = "string", value = function() return ("a"):rep(random(0, 9)) .. string.char(random(97, 100)) end },
  }

  for _, kind in ipairs(kinds) do
    it(("of type %s tell which of them hold a value, seed %d"):format(kind.type, seed), function()
      math.randomseed(seed)
      local built = assert(schema.build { tables = { { name = "t", columns = { { "a", kind.type } } } } })
      local encode = function(value) return bsatn.encode(bsatn.type(kind.type), value) end
      local intervals, all, count = ffi.new "struct intervals", {}, 0
      core.intervals_init(intervals, built:table("t").columns[0].type)

      for round = 1, 600 do
        local made = range_of(random_range(kind.value), encode)
        local key = key_of(made.wanted)
        if all[key] then
          core.intervals_remove(intervals, made.range)
          all[key], count = nil, count - 1
        elseif count < 200 then
          local node = core.intervals_add(intervals, made.range)
          assert(node.item == nil, "an interval is there that was never added")
          node.item = ffi.cast("void *", round)
          all[key], count = { round = round, wanted = made.wanted }, count + 1
        end
        core.intervals_check(intervals)
        assert(intervals.count == count)

        local value, expected = kind.value(), {}
        for _, each in pairs(all) do
          if holds(each.wanted, value) then
            expected[#expected + 1] = each.round
          end
        end
        table.sort(expected)
        assert.same(expected, stab(intervals, encode(value)))
      end
      core.intervals_deinit(intervals)
    end)
  end
end)
