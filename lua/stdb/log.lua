--- The module's log: ctx.log, stdb.log and print.
local use = ...
local C, vm = use "library", use "vm"
local blame, frozen, text = use "blame", use "frozen", use "text"

local LEVELS = { error = 0, warn = 1, info = 2, debug = 3, trace = 4 }

local function write(level, message)
  local file, line = blame.position()
  file = file or ""
  C.stdb_log(vm, level, message, #message, file, #file, line or 0)
end

local members = {}
for name, level in pairs(LEVELS) do
  members[name] = function(pattern, ...)
    write(level, text.compose("log." .. name, pattern, ...))
  end
end

return {
  --- log.info(pattern, ...): a text, or a pattern for string.format with its arguments.
  levels = frozen.names(members, "log", "level"),
  --- As Lua's, into the log.
  print = function(...)
    write(LEVELS.info, text.join(...))
  end,
}
