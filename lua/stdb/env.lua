--- The world a module sees: a whitelist, built fresh. What is not named here is not there.
--
-- No debug, io, os, jit, ffi, package; nothing that compiles text or bytecode; nothing that hands out an
-- environment: several of LuaJIT's functions are bytecode and keep the one they were made in.
local use = ...
local frozen, log, reentry, text = use "frozen", use "log", use "reentry", use "text"
local random, blame, ordered = use "random", use "blame", use "ordered"

local function pick(library, names)
  local picked = {}
  for name in names:gmatch("%S+") do
    picked[name] = assert(library[name], name)
  end
  return picked
end

local strings = pick(string, "byte char find gmatch len lower match rep reverse sub upper")
strings.format = text.format

local counted_gsub = reentry.counted(string.gsub)

--- Only a function or a table, whose __index may be a function, calls back.
function strings.gsub(...)
  local kind = type((select(3, ...)))
  if kind == "function" or kind == "table" then
    return counted_gsub(...)
  end
  return string.gsub(...)
end

local tables = pick(table, "concat insert maxn move remove")
tables.sort = reentry.counted(table.sort)
tables.unpack = unpack

local maths = pick(math, [[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min
  modf pi pow rad sin sinh sqrt tan tanh]])
maths.random = random

function maths.randomseed()
  blame.raise "math.randomseed: chance is seeded for each call, so that a call run again draws the same"
end

local coroutines = pick(coroutine, "create status")
for _, name in ipairs { "isyieldable", "resume", "running", "wrap", "yield" } do
  coroutines[name] = reentry[name]
end

local bits = pick(require "bit", "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex")

local basics = pick(_G, "_VERSION assert error getmetatable ipairs next rawequal rawget select setmetatable")
basics.tonumber, basics.type, basics.unpack = tonumber, type, unpack
basics.pcall, basics.xpcall = reentry.pcall, reentry.xpcall
basics.print, basics.tostring = log.print, text.tostring
basics.pairs = ordered.pairs

--- As Lua's, but what has a locked metatable stays as it is.
function basics.rawset(target, key, value)
  if getmetatable(target) ~= nil and type(getmetatable(target)) ~= "table" then
    blame.raise "rawset: this table is locked"
  end
  return rawset(target, key, value)
end

function basics.require(name)
  return use("loader").require(name)
end

basics.string = frozen.library(strings, "string")
basics.table = frozen.library(tables, "table")
basics.math = frozen.library(maths, "math")
basics.coroutine = frozen.library(coroutines, "coroutine")
basics.bit = frozen.library(bits, "bit")

-- ("x"):rep(3) finds the same functions, and nobody finds the metatable.
local string_meta = debug.getmetatable ""
string_meta.__index = basics.string
string_meta.__metatable = false

local env = {}

--- An environment: its own globals in front, the whitelist behind.
function env.new()
  local globals = setmetatable({}, { __index = basics, __metatable = false })
  globals._G = globals
  return globals
end

return env
