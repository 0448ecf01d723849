--- What stdlib/ is given of the trusted side: functions, no FFI.
local use = ...
local C, vm, host = use "library", use "vm", use "host"
local blame, define, frozen, log, reentry, text, types, values =
  use "blame", use "define", use "frozen", use "log", use "reentry", use "text", use "types", use "values"

local function reject(...)
  if vm.in_call == 0 then
    blame.raise "stdb.reject belongs into a reducer or a view"
  end
  local message = text.compose("stdb.reject", ...)
  C.stdb_reject(vm, message, #message)
  if not reentry.may_catch() then
    host.leave()
  end
  error(host.rejection, 0)
end

return {
  names = frozen.names,
  table = define.table,
  reducer = define.reducer,
  view = define.view,
  filter = define.filter,
  query = use "query",
  on = define.on,
  reject = reject,
  types = types.all,
  log = log.levels,
  values = values,
}
