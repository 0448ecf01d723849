--- stdb: what a module declares, and what it may ask. stdb.d.lua documents every name for the editor.
local core = ...

return core.names({
  table = core.table,
  reducer = core.reducer,
  view = core.view,
  filter = core.filter,
  query = core.query,
  on = core.names(core.on, "stdb.on", "hook"),
  reject = core.reject,
  types = core.types,
  none = core.values.none,
  log = core.log,
  -- values wider than a Lua number
  identity = core.values.identity.make,
  connection_id = core.values.connection_id.make,
  uuid = core.values.uuid.make,
  timestamp = core.values.timestamp.make,
  duration = core.values.duration.make,
  every = core.values.duration.every,
  after = core.values.timestamp.after,
  u128 = core.values.u128.make,
  i128 = core.values.i128.make,
  u256 = core.values.u256.make,
  i256 = core.values.i256.make,
}, "stdb", "function")
