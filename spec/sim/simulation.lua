--- One history of a database from a seed: clients come, call, subscribe and go; snapshots are taken, versions of the
--- module take over; the disk errs, the process is killed, the power is cut, bits rot, time jumps. What must be there
--- is what the model says (spec/sim/model.lua).
---
---     simulation.new(seed):run()      raises a sentence that names the seed when something is not as it must be
local Model = require "spec.sim.model"
local Player = require "spec.sim.player"
local messages = require "spec.support.messages"
local points = require "spec.sim.points"
local rot = require "spec.sim.rot"
local server_sim = require "spec.support.server_sim"
local sim = require "spec.support.sim"

local simulation = {}
local Simulation = {}
Simulation.__index = Simulation

local PLAYERS = 5
local START_US = 1700000000 * 1000000
local HOUR_US = 3600 * 1000000

-- The versions of the module ------------------------------------------------------------------------------------------

local module_paths

--- A folder for each version, made once for the process.
local function make_modules()
  local pipe = assert(io.popen "mktemp -d")
  local folder = pipe:read "*l"
  pipe:close()
  local file = assert(io.open "spec/sim/module.lua")
  local text = file:read "*a"
  file:close()
  module_paths = {}
  for version = 1, 4 do
    module_paths[version] = ("%s/version%d.lua"):format(folder, version)
    local made = assert(io.open(module_paths[version], "w"))
    made:write((text:gsub("local VERSION = 1", "local VERSION = " .. version, 1)))
    made:close()
  end
end

--- Takes the folder away.
function simulation.forget_modules()
  for _, path in ipairs(module_paths or {}) do os.remove(path) end
  if module_paths then os.remove(module_paths[1]:match "^(.*)/") end
  module_paths = nil
end

-- A world -------------------------------------------------------------------------------------------------------------

--- Options: lives and steps, how many of both; trouble, a function that readies the disk's in place of chance; plant, a
--- bug (spec/sim/plants.lua); trace, a list that gets a line for the state at every checkpoint.
function simulation.new(seed, options)
  if not module_paths then make_modules() end
  options = options or {}
  local self = setmetatable({
    seed = seed,
    options = options,
    disk = sim.disk(seed),
    model = Model.new(),
    points = points.new(),
    plant = options.plant or {},
    life = 0,
    calls = 0,
    posts = {},
    players = {},
    moments = {}, -- that reminders are for
    spoiled = {}, -- snapshots that have rotted and stay: name -> content
    wall = START_US, monotonic = START_US,
    published_sure = 0, published = 0, -- the version of the module on disk: at least, at most
    next_connection = 0,
  }, Simulation)
  self.server = server_sim.new(self.disk, seed)
  self:choose_habits()
  self:bug "born"
  return self
end

function Simulation:draw(limit) return self.disk:random(limit) end
function Simulation:chance(part) return self:draw(1000) <= part * 1000 end
function Simulation:pick(list) return list[self:draw(#list)] end

--- Each seed has ways of its own, so that rare meetings are not drowned by an average.
function Simulation:choose_habits()
  self.habits = {
    segment_size = self:pick { 2048, 8192, 65536 },
    log_bytes = self:pick { 3000, 20000, 1e9 },
    interval_us = self:pick { 60 * 1000000, HOUR_US },
    keep_us = self:pick { 0, HOUR_US, 100 * HOUR_US },
    keep_bytes = self:pick { 1, 200000, 2 ^ 33 },
    log = self:pick { 1, 6, 20 },
    snapshot = self:pick { 2, 10 },
    trouble = self:pick { 0.2, 0.6, 0.9 },
    is_calm = self:chance(0.2), -- nobody publishes, time is steady
  }
  if self.habits.log == 1 then self.points:visit "slow disk" end
end

function Simulation:fail(text, ...)
  error(("seed %s, life %d, call %d%s: %s (tools/simulate --seed %s runs it again)"):format(tostring(self.seed), self.life,
    self.calls, self.way and ", after " .. self.way or "", text:format(...), tostring(self.seed)), 0)
end

function Simulation:hold(condition, text, ...)
  if not condition then self:fail(text, ...) end
end

--- Where planted bugs do their work; true when one has done it.
function Simulation:bug(place, ...)
  return self.plant[place] and self.plant[place](self, ...)
end

--- Runs what leads to the disk, and notes what struck meanwhile.
function Simulation:watch(phase, work)
  local before = self.disk:strike_count()
  local result = work()
  local count, what, call, path = self.disk:strike()
  if count > before then
    self.points:strike(phase, what, call, path)
    if what == "ENOSPC" and self.capacity then self.points:visit "full disk" end
  end
  return result, count > before
end

-- Time ----------------------------------------------------------------------------------------------------------------

function Simulation:pass_time()
  local step = self:draw(20000)
  self.wall, self.monotonic = self.wall + step, self.monotonic + step
  if not self.habits.is_calm and self:chance(0.01) then
    local jump = self:pick { -50 * HOUR_US, -HOUR_US, HOUR_US, 50 * HOUR_US }
    self.wall = self.wall + jump
    self.points:visit(jump < 0 and "clock goes back" or "clock jumps ahead")
  end
  if self:chance(0.01) then self.monotonic = self.monotonic + self:pick { HOUR_US / 60, HOUR_US } end
  self.server:set_clock(self.wall, self.monotonic)
end

-- What the clients do -------------------------------------------------------------------------------------------------

function Simulation:post(player, bytes, effect)
  self.server:post(player.number, bytes)
  self.posts[#self.posts + 1] = { player = player, effect = effect }
end

--- The others are told of it; what it is for `caller` is returned.
function Simulation:tell(changes, caller)
  local own
  if not changes then return {} end
  for _, player in pairs(self.players) do
    if player.state == "here" or player == caller then
      local sets = player:update(self.model, changes)
      if player == caller then
        own = sets
      elseif sets then
        player:expect("TransactionUpdate", self.model.version, { sets = sets })
        self.points:visit "changes for others"
      end
    end
  end
  return own or {}
end

--- A moment soon, or a while ago, that no other reminder is for: so their order is known.
function Simulation:free_moment()
  local moment
  repeat
    moment = self.wall + self:draw(300000) - 30000
  until not self.moments[moment]
  self.moments[moment] = true
  return moment
end

local words = { "red", "green", "a longer word, so that rows differ in size", "" }

local calls = {
  open = function(self) return { self:draw(14) - 1, self:draw(300) } end,
  close = function(self) return { self:draw(40) - 1 } end,
  transfer = function(self) return { self:draw(13) - 1, self:draw(13) - 1, self:draw(60) } end,
  write = function(self) return { self:draw(4), self:draw(12), ("text "):rep(self:draw(6)) .. self.calls } end,
  forget = function(self) return { self:draw(4), self:draw(13) } end,
  put_pair = function(self) return { self:draw(7), self:draw(4) } end,
  drop_pair = function(self) return { self:draw(7), self:draw(4) } end,
  flash_pair = function(self) return { self:draw(7), self:draw(4) } end,
  stock = function(self)
    return { self:draw(30), self:draw(4), self:draw(3), self:draw(30) - 15, self:pick(words) }
  end,
  clear_shelf = function(self) return { self:draw(3) } end,
  lighten = function(self)
    local least = self:draw(60) - 20
    return { least, least + self:draw(4) }
  end,
  relabel = function(self) return { self:draw(3), self:pick(words) } end,
  stumble = function(self) return { self:draw(3) } end,
  annotate = function(self) return { self:draw(12) - 1, self:pick(words) } end,
  remind = function(self) return { self:free_moment(), self:draw(6) } end,
}
local call_names = { "open", "close", "transfer", "transfer", "transfer", "write", "write", "write", "forget", "put_pair",
  "drop_pair", "flash_pair", "stock", "stock", "clear_shelf", "lighten", "relabel", "stumble", "annotate", "remind", "remind" }

local call_points = { ok = "call done", err = "call refused", internal = "call stumbled", unknown = "unknown call" }

function Simulation:call(player)
  local name = self:pick(call_names)
  local values = calls[name](self)
  local request_id = player:request_id()
  self.calls = self.calls + 1
  local bytes = messages.client("CallReducer",
    { request_id = request_id, flags = 0, reducer = name, args = Model.arguments(name, values) })
  self:post(player, bytes, function()
    local outcome, found = self.model:call(name, values)
    self.points:visit(call_points[outcome])
    if outcome == "ok" then
      local sets = self:tell(found, player)
      player:expect("ReducerResult", self.model.version, { request_id = request_id, outcome = "ok", sets = sets })
    else
      player:expect("ReducerResult", self.model.version,
        { request_id = request_id, outcome = outcome == "unknown" and "internal" or outcome, text = found })
    end
  end)
  self:bug("called", player, bytes)
end

--- A set asks for each table once.
function Simulation:pick_queries()
  local queries, tables = {}, {}
  for _ = 1, self:draw(3) do
    local query = self:pick(Player.queries)
    if not tables[query.table] then queries[#queries + 1] = query end
    tables[query.table] = true
  end
  return queries
end

function Simulation:subscribe(player)
  local queries, set, request_id, texts = self:pick_queries(), self:draw(4), player:request_id(), {}
  for place, query in ipairs(queries) do texts[place] = query.text end
  self:post(player,
    messages.client("Subscribe", { request_id = request_id, query_set_id = { id = set }, query_strings = texts }),
    function()
      local is_known = not player.holds[set]
      for _, query in ipairs(queries) do is_known = is_known and self.model:has(query.table) end
      if not is_known then
        player:expect("SubscriptionError", self.model.version, { request_id = request_id })
        self.points:visit "subscription refused"
        return
      end
      player.holds[set] = queries
      player:expect("SubscribeApplied", self.model.version,
        { request_id = request_id, set = set, tables = Player.answers(self.model, queries) })
    end)
end

function Simulation:unsubscribe(player)
  local set, request_id, wants_rows = self:draw(4), player:request_id(), self:chance(0.5)
  local flags = { tag = wants_rows and "SendDroppedRows" or "Default" }
  self:post(player,
    messages.client("Unsubscribe", { request_id = request_id, query_set_id = { id = set }, flags = flags }), function()
      local queries = player.holds[set]
      if not queries then
        player:expect("SubscriptionError", self.model.version, { request_id = request_id })
        return
      end
      player.holds[set] = nil
      player:expect("UnsubscribeApplied", self.model.version,
        { request_id = request_id, set = set, tables = wants_rows and Player.answers(self.model, queries) or nil })
    end)
end

function Simulation:ask(player)
  local query, request_id = Player.queries[self:draw(#Player.queries - 1)], player:request_id()
  self:post(player, messages.client("OneOffQuery", { request_id = request_id, query_string = query.text }), function()
    player:expect("OneOffQueryResult", self.model.version,
      { request_id = request_id, tables = Player.answers(self.model, { query }) })
  end)
end

-- Coming and going ----------------------------------------------------------------------------------------------------

function Simulation:connect(number)
  self.next_connection = self.next_connection + 1
  local is_stranger = self:chance(0.05)
  local who = ("%08d"):format(number):rep(4):sub(1, 31) .. (is_stranger and "\187" or "\194")
  local connection = ("%016d"):format(self.next_connection)
  local player = Player.new(number,
    { who = who, connection = connection, protocol = self:chance(0.7) and "v3" or "v2", confirmed = self:chance(0.8) })
  self.players[number] = player
  self.server:connect(number, who, connection, player.options)
  self.posts[#self.posts + 1] = { player = player, is_arrival = true, effect = function()
    local is_let_in, changes = self.model:connect(connection, who)
    if not is_let_in then
      player.state, player.farewell = "closing", self.model.version
      self.points:visit "client not let in"
      return
    end
    self:tell(changes)
    self.arrivals[#self.arrivals + 1] = player
    player.state, player.is_connected = "here", true
    player:expect("InitialConnection", self.model.version)
  end }
end

--- The engine's side of a client that is gone.
function Simulation:depart(player)
  if player.is_connected then self:tell(self.model:disconnect(player.options.connection), nil) end
  player.is_connected = false
  for place, other in ipairs(self.arrivals) do
    if other == player then table.remove(self.arrivals, place) end
  end
end

function Simulation:disconnect(player)
  self.server:disconnect(player.number)
  player.is_leaving = true -- nothing that is still to come reaches it
  self.posts[#self.posts + 1] = { player = player, is_departure = true, effect = function()
    player.state = "leaving"
    self:depart(player)
  end }
end

-- What the server does ------------------------------------------------------------------------------------------------

--- The model does what the turn has done, in the same order.
function Simulation:run_posts()
  local posts = self.posts
  self.posts = {}
  for _, post in ipairs(posts) do
    if post.is_arrival or post.is_departure or post.player.state == "here" then post.effect() end
  end
end

--- Behind all that has come in.
function Simulation:run_reminders()
  for _, row in ipairs(self.model:due(self.wall)) do
    self:tell(self.model:remind(row))
    self.points:visit(row.x % 3 == 0 and "reminder stumbled" or "reminder run")
    if row.id < self.first_reminder then self.points:visit "reminder run after a restart" end
  end
end

--- Takes what may leave, and lets the clients judge it.
function Simulation:receive()
  self:hear_of_snapshot()
  for number = 0, PLAYERS - 1 do
    local player = self.players[number]
    if player then self:receive_for(player) end
  end
end

function Simulation:receive_for(player)
  for _, frame in ipairs(server_sim.frames(self.server:receive(player.number))) do
    for _, message in ipairs(messages.of_frame(frame)) do
      if not player.is_leaving and not self:bug("received", player, message) then
        local done, version = pcall(player.take, player, message)
        if not done then self:fail("%s", version) end
        if player.options.confirmed then self.model:make_sure(version) end
      end
    end
  end
  local ending = self.server:ending(player.number)
  if ending == "gone" then
    self.players[player.number] = nil
  elseif ending and not player.is_leaving then
    self:hold(player.state == "closing", "client %d is sent away for nothing (%s)", player.number, ending)
    self:hold(not player:is_waiting(), "client %d is sent away before it was told all", player.number)
    if player.options.confirmed then self.model:make_sure(player.farewell) end
    self:disconnect(player)
  end
end

function Simulation:turn()
  self:watch("running", function() return self.server:step "turn" end)
  self:run_posts()
  self:run_reminders()
end

function Simulation:step_log()
  local durable, has_failed = self.server:durable(), self.server:failures() > 0
  local did = self:watch("running", function() return self.server:step "log" end)
  if self.server:failures() > 0 and not has_failed then
    local _, _, call = self.disk:strike()
    self.points:visit "failed log"
    if call == "sync" then self.points:visit "failed sync of the log" end
  end
  if has_failed then -- W3
    self:hold(self.server:durable() == durable, "something was acknowledged after the log had failed")
  end
  return did
end

function Simulation:step_snapshot()
  local version = self.model.version
  if self.snapshot_version and self.snapshot_version ~= version then self.points:visit "rows changed under a snapshot" end
  local before = self:count_files()
  if self:chance(0.03 * self.habits.trouble) then self:arm_here() end
  local did = self:watch("running", function() return self.server:step "snapshot" end)
  local after = self:count_files()
  if after.snapshot > before.snapshot then self.points:visit "snapshot taken" end
  if after.snapshot < before.snapshot then self.points:visit "snapshots retired" end
  if after.segment < before.segment then self.points:visit "segments retired" end
  self.snapshot_version = did and version or nil
  return did
end

function Simulation:ask_snapshot()
  self.server:ask_snapshot()
  self.is_snapshot_asked = true
  self.points:visit "snapshot asked for"
end

function Simulation:hear_of_snapshot()
  local status = self.is_snapshot_asked and self.server:asked_status() or 0
  if status == 0 then return end
  self.is_snapshot_asked = false
  if status == 503 then
    self.points:visit "failed snapshot"
  else
    self:hold(status == 200, "a snapshot is answered by %d", status)
  end
end

function Simulation:count_files()
  local counts = { snapshot = 0, segment = 0 }
  for _, name in ipairs(self.disk:names()) do
    if name:find "%.snap$" then counts.snapshot = counts.snapshot + 1 end
    if name:find "%.wal$" then counts.segment = counts.segment + 1 end
  end
  return counts
end

--- The name and content of the last one; nil when there is none.
function Simulation:newest_segment()
  local newest
  for _, name in ipairs(self.disk:names()) do
    if name:find "%.wal$" then newest = name end
  end
  return newest, newest and self.disk:get(newest)
end

function Simulation:publish()
  local version = self:chance(0.3) and 4 or math.min(self.published + 1, 3)
  self:turn()
  self:receive()
  local before = self.model.schema
  self.published = math.max(self.published, version <= 3 and version or 0)
  if self:chance(0.3 * self.habits.trouble) then self:arm_here() end
  local code = self:watch("publishing", function()
    local code = self.server:publish(module_paths[version])
    self.server:step "log"
    return code
  end)
  if version == 4 then
    self:hold(code == server_sim.MIGRATION, "a module that does not fit is not refused: %s", self.server:text())
    self.points:visit "unfit module refused"
  else
    self:hold(code == server_sim.OK, "version %d is refused: %s", version, self.server:text())
    self.points:visit "module published"
    self:take_version(version)
    if before < 2 and version >= 2 then self:close_all() end
  end
end

function Simulation:take_version(version)
  if self.model.schema == version then return end
  if version == 3 and not self.model.next.extra then self.model.next.extra = 1 end
  self.model:publish(version)
  self.published_at = self.model.version
end

--- All are sent away, the last to come first; who is still there is told of who has gone.
function Simulation:close_all()
  for place = #self.arrivals, 1, -1 do
    local player = self.arrivals[place]
    player.state, player.farewell = "closing", self.model.version
    self:tell(self.model:disconnect(player.options.connection))
    player.is_connected = false
    player.holds = {}
  end
  self.arrivals = {}
  self.points:visit "clients closed by a publication"
end

-- What must hold ------------------------------------------------------------------------------------------------------

--- Everything done, everything durable, everybody told.
function Simulation:calm_down()
  self:turn()
  repeat
    while self:step_log() do end
    local did = self:step_snapshot()
    self:turn()
    self:receive()
  until not did or self:is_over()
  while not self:is_over() and self:step_log() do end
  self:receive()
  self:turn()
  self:receive()
end

function Simulation:stored_rows()
  local stored = {}
  for _, name in ipairs(Model.tables) do
    local rows = self.server:rows(name)
    self:hold((rows ~= nil) == self.model:has(name), "table %s should %sbe there", name, rows and "not " or "")
    stored[name] = {}
    for _, bytes in ipairs(rows or {}) do
      self:hold(not stored[name][bytes], "table %s has a row twice", name)
      stored[name][bytes] = true
    end
  end
  return stored
end

local function same_list(left, right)
  table.sort(left)
  table.sort(right)
  return table.concat(left, ",") == table.concat(right, ",")
end

--- Every index finds the rows that the table has.
function Simulation:compare_indexes()
  for _, name in ipairs(Model.tables) do
    for place = 0, 3 do
      local found = self.model:has(name) and self.server:index_rows(name, place)
      if not found then break end
      self:hold(same_list(found, self.server:rows(name)), "index %d of table %s does not have the table's rows", place, name)
    end
  end
end

function Simulation:compare_tables()
  local stored = self:stored_rows()
  for _, name in ipairs(Model.tables) do
    local left = 0
    for _ in pairs(stored[name]) do left = left + 1 end
    if self.model:has(name) then
      for _, row in pairs(self.model.rows[name]) do
        self:hold(stored[name][self.model:bytes(name, row)], "table %s lacks a row", name)
        left = left - 1
      end
    end
    self:hold(left == 0, "table %s has %d rows too many", name, left)
  end
end

function Simulation:compare_sequences()
  for _, name in ipairs(Model.sequences) do
    if self.model:has(name) then
      local value = self.server:next_value(name)
      self:hold(value == self.model.next[name], "the sequence of %s stands at %d and not at %d", name, value,
        self.model.next[name])
    end
  end
end

--- In a quiet moment.
function Simulation:verify()
  self:bug "verified"
  self:compare_tables()
  self:compare_indexes()
  self:compare_sequences()
  self.server:check_tables()
  for _, player in pairs(self.players) do
    if player.state == "here" and not player.is_leaving then
      self:hold(not player:is_waiting(), "client %d is not told all", player.number)
      local is_same, name = player:is_up_to_date(self.model)
      self:hold(is_same, "client %d has other rows of %s than there are", player.number, name)
    end
  end
  self.model:make_sure(self.model.version)
end

-- Lives ---------------------------------------------------------------------------------------------------------------

function Simulation:is_over() return self.disk:has_crashed() or self.server:failures() > 0 end

local RARE = { rename = true, remove = true, truncate = true, make_dir = true, list = true, dir_sync = true }
local troubled_calls = { "write", "sync", "reserve", "dir_sync", "rename", "remove", "read", "open", "size", "list",
  "truncate", "make_dir", "changes", "any" }

--- What may happen in this life.
function Simulation:arm()
  self.capacity = nil
  self.disk:set_capacity(0)
  if self.options.trouble then return self.options.trouble(self) end
  if not self:chance(self.habits.trouble) then return end
  local what = self:draw(10)
  if what <= 3 then
    self.disk:cut_power_at(self:draw(self:pick { 15, 60, 200 }))
  elseif what <= 5 then
    self.disk:kill_at(self:draw(self:pick { 15, 60, 200 }))
  elseif what <= 8 then
    local call = self:pick(troubled_calls)
    self.disk:fail(call, self:draw(RARE[call] and 4 or self:pick { 4, 40 }), self:pick { "EIO", "ENOSPC" },
      self:chance(0.3))
  elseif what == 9 then
    self.disk:fail_often(self:pick(troubled_calls), 0.02, self:pick { "EIO", "ENOSPC" })
  else
    self.capacity = self:draw(300000)
    self.disk:set_capacity(self.capacity)
  end
end

--- The end, within the next few calls that change something.
function Simulation:arm_here()
  if self.is_last or self.options.trouble then return end
  if self:chance(0.5) then self.disk:cut_power_at(self:draw(5)) else self.disk:kill_at(self:draw(5)) end
end

--- What each sequence gives next.
function Simulation:stored_numbers()
  local numbers = {}
  for _, name in ipairs(Model.sequences) do
    if self.model:has(name) then numbers[name] = self.server:next_value(name) end
  end
  return numbers
end

--- What was found must be a version that could be there.
function Simulation:recover(is_exact)
  local last = self.model.version
  self:bug "recovered"
  local numbers = self:stored_numbers()
  self:hold(self.model:survive(self:stored_rows(), numbers),
    "what is there is no version between the last that was sure and the last that was made")
  self:hold(not is_exact or self.model.version == last, "%d transactions are gone", last - self.model.version)
  if self.model.version < last then self.points:visit "unsure transactions lost" end
  if self.model.version > 0 then self.points:visit "transactions recovered" end
  if next(self.model.rows.online) then self.points:visit "leftovers disconnected" end
  for name, number in pairs(numbers) do self.model.next[name] = number end
  self.first_reminder = numbers.reminder
  self.model:settle()
end

--- Whether it serves now.
function Simulation:open(is_exact)
  local version = math.max(self.published, 1)
  self.server:set_clock(self.wall, self.monotonic)
  self.players, self.arrivals, self.posts = {}, {}, {}
  self.snapshot_version, self.is_snapshot_asked = nil, false
  local before = self.published
  if before < 3 and not self.habits.is_calm and self:chance(0.1) then version = version + 1 end
  self.published = version
  local has_snapshot, segment, text = self:count_files().snapshot > 0, self:newest_segment()
  local code, has_struck = self:watch("opening", function()
    return self.server:open(module_paths[version], self.habits)
  end)
  if code ~= server_sim.OK then
    self.why = self.server:text()
    self:hold(is_exact or has_struck or self.disk:has_crashed(), "it does not start: %s", self.why)
    return false
  end
  if before > 0 and version > before then self.points:visit "module published at start" end
  if has_snapshot then self.points:visit "snapshot loaded" end
  if segment and self.disk:get(segment):sub(1, #text) ~= text then self.points:visit "torn tail cut" end
  self.identity = self.identity or self.server:identity()
  self:hold(self.identity == self.server:identity(), "it is another database now")
  self.model.schema = version
  self:recover(is_exact)
  return true
end

--- An older version of the module than the one that is surely in force.
function Simulation:try_old_module()
  if self.model.schema < 2 or self.model.schema == 3 and not next(self.model.rows.extra) then return end
  local code = self.server:open(module_paths[self.model.schema - 1], self.habits)
  self:hold(code == server_sim.MIGRATION, "an older module is not refused: %s", self.server:text())
  self.points:visit "old module refused"
end

function Simulation:act()
  local player = self.players[self:draw(PLAYERS) - 1]
  if not player or player.state ~= "here" or player.is_leaving then return self:come_or_go() end
  local what = self:draw(40)
  if what <= 26 then
    for _ = 1, self:draw(4) do self:call(player) end
  elseif what <= 32 then
    self:subscribe(player)
  elseif what <= 34 then
    self:unsubscribe(player)
  elseif what <= 37 then
    self:ask(player)
  elseif what == 38 then
    self:disconnect(player)
  elseif what == 39 then
    self:ask_snapshot()
  elseif not self.habits.is_calm and self.published < 3 and self:chance(0.3) then
    self:publish()
  end
end

function Simulation:come_or_go()
  for number = 0, PLAYERS - 1 do
    if not self.players[number] then return self:connect(number) end
  end
end

function Simulation:step()
  self:pass_time()
  self:act()
  if self:chance(0.6) then self:turn() end
  if self:draw(20) <= self.habits.log then self:step_log() end
  if self:draw(20) <= self.habits.snapshot then self:step_snapshot() end
  self:receive()
end

--- What the database is in front of an observer: its files, its tables, what was told.
function Simulation:checkpoint()
  if not self.options.trace then return end
  local told = 0
  for number = 0, PLAYERS - 1 do told = told + (self.players[number] and self.players[number].told or 0) end
  table.insert(self.options.trace, ("%s %d %d %d"):format(tostring(self.disk:hash()), self.model.version, told,
    self:draw(1000000)))
end

function Simulation:serve()
  for place = 1, self:draw(self.options.steps or 70) do
    self:step()
    if place % 5 == 0 then self:checkpoint() end
    if self:is_over() then break end
    if self:chance(0.03) then
      self:calm_down()
      if self:is_over() then break end
      self:verify()
    end
  end
  if self.server:failures() > 0 and not self.disk:has_crashed() then -- W3: it may go on a while before it is told
    for _ = 1, 3 do
      self:step()
      self:step_log()
    end
  end
end

--- Ends the life in one of three ways. True when all that was done is on disk.
function Simulation:finish()
  local is_over, way = self:is_over(), self:draw(3)
  if way == 1 and not is_over then
    self:turn()
    self:watch("stopping", function() self.server:close() end)
    if not self.disk:has_crashed() and self.server:failures() == 0 then
      self:note_stop()
      self.disk:kill()
      self:bug "stopped"
      return true
    end
  end
  if not is_over and way > 1 then self.points:visit((way == 2 and "kill" or "power cut") .. " between two calls") end
  local close = function() self.server:close() end
  if way == 2 then self.disk:kill_after(close) else self.disk:restart_after(close) end
  return false
end

--- Orderly: those who were here are disconnected, and all of it is on disk.
function Simulation:note_stop()
  for _, player in pairs(self.players) do
    if player.is_connected then self.model:disconnect(player.options.connection) end
  end
  self.model:make_sure(self.model.version)
end

function Simulation:live()
  self.life = self.life + 1
  self:arm()
  local stopped = false
  if self:open(false) then
    self:serve()
    stopped = self:finish()
  elseif self:chance(0.5) then
    self.disk:kill_after(function() end)
  else
    self.disk:restart_after(function() end)
  end
  self:checkpoint()
  self:bug "ended"
  if stopped and self:chance(0.5) then
    self.disk:set_capacity(0)
    rot.spoil(self)
  end
  if stopped and self:chance(0.1) then self:try_old_module() end
end

--- The last look at all: what is on disk is whole, says the audit, too.
function Simulation:run()
  for _ = 1, self.options.lives or 6 do self:live() end
  self.life, self.is_last = self.life + 1, true
  self.disk:set_capacity(0)
  self:hold(self:open(false), "it does not start at the end: %s", self.why)
  self:calm_down()
  self:verify()
  self.server:close()
  rot.clean(self)
  local faults, line = self.server:audit()
  self:hold(faults == 0, "the audit finds %d faults: %s", faults, line)
  self:checkpoint()
  return self
end

--- Lets go of everything; also after a failure.
function Simulation:free()
  self.server:free()
end

return simulation
