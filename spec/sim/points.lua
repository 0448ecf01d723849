--- What can go wrong, by name. The simulator counts how often each has happened; in CI all of them must.
local points = {}

points.names = {
  -- The power is cut, or the process killed, in the middle of a call to the disk.
  "power cut while opening", "power cut while a group is written", "power cut while a segment is begun",
  "power cut while a snapshot is written", "power cut while a snapshot is named", "power cut while the old is given up",
  "power cut while publishing", "power cut while stopping", "power cut while the module says something",
  "power cut between two calls",
  "kill while opening", "kill while a group is written", "kill while a segment is begun",
  "kill while a snapshot is written", "kill while a snapshot is named", "kill while the old is given up",
  "kill while publishing", "kill while stopping", "kill while the module says something", "kill between two calls",

  -- A call to the disk fails.
  "EIO in open", "EIO in size", "EIO in read", "EIO in write", "EIO in sync", "EIO in truncate", "EIO in reserve",
  "EIO in rename", "EIO in remove", "EIO in make_dir", "EIO in dir_sync", "EIO in list",
  "ENOSPC in write", "ENOSPC in sync", "ENOSPC in reserve", "ENOSPC in rename", "ENOSPC in dir_sync", "full disk",
  "error while opening", "error while a group is written", "error while a segment is begun",
  "error while a snapshot is written", "error while a snapshot is named", "error while a snapshot is read back",
  "error while the old is given up", "error while the module says something",
  "failed log", "failed sync of the log", "failed snapshot",

  -- What is stored changes.
  "rot in a segment's header", "rot in a record", "rot in the last segment", "rot behind the log's end",
  "rot in the name of the newest segment", "rot in the newest snapshot", "rot in an older snapshot",
  "rot in the identity", "rot in the module's log",
  "half a snapshot", "half a segment", "missing segment", "missing snapshot", "missing identity",
  "swapped segments", "leftover of a snapshot", "refused after rot", "survived rot",

  -- Time.
  "clock goes back", "clock jumps ahead", "slow disk",

  -- What the engine is to do about all this.
  "torn tail cut", "unsure transactions lost", "transactions recovered", "snapshot loaded", "older snapshot loaded",
  "snapshot taken", "snapshot asked for", "snapshots retired", "segments retired", "rows changed under a snapshot",
  "leftovers disconnected", "old module refused", "unfit module refused", "module published", "module published at start",
  "clients closed by a publication", "client not let in",
  "call done", "call refused", "call stumbled", "unknown call", "subscription refused", "changes for others",
  "reminder run", "reminder stumbled", "reminder run after a restart",
}

local is_known = {}
for _, name in ipairs(points.names) do is_known[name] = true end

local Counts = {}
Counts.__index = Counts

function points.new() return setmetatable({ counts = {} }, Counts) end

function Counts:visit(name)
  assert(is_known[name], "there is no point " .. name)
  self.counts[name] = (self.counts[name] or 0) + 1
end

function Counts:add(other)
  for name, count in pairs(other.counts) do self.counts[name] = (self.counts[name] or 0) + count end
end

--- The names that were never visited.
function Counts:missing()
  local missing = {}
  for _, name in ipairs(points.names) do
    if not self.counts[name] then missing[#missing + 1] = name end
  end
  return missing
end

--- A line for each point.
function Counts:lines()
  local lines = {}
  for place, name in ipairs(points.names) do lines[place] = ("%8d  %s"):format(self.counts[name] or 0, name) end
  return lines
end

-- Where a strike of the disk belongs ----------------------------------------------------------------------------------

local function kind_of(path)
  if path:find "/snapshots" then return "snapshot" end
  if path:find "/module_logs" then return "module log" end
  return path:find "/log" and "log" or "other"
end

local function is_segment_begin(call, path)
  return path:find "newest" or call == "dir_sync" or call == "rename" or call == "open"
end

--- What the engine was doing: `phase` says which step was run.
local function doing(phase, call, path)
  if phase ~= "running" then return phase end
  local kind = kind_of(path)
  if kind == "module log" then return "the module says something" end
  if call == "remove" then return "the old is given up" end
  if kind == "log" then return is_segment_begin(call, path) and "a segment is begun" or "a group is written" end
  if call == "rename" or call == "dir_sync" then return "a snapshot is named" end
  return (call == "write" or call == "sync") and "a snapshot is written" or "a snapshot is read back"
end

--- Visits what a strike means.
function Counts:strike(phase, what, call, path)
  local while_ = " while " .. doing(phase, call, path)
  if what == "power cut" or what == "kill" then
    if is_known[what .. while_] then self:visit(what .. while_) end
    return
  end
  if is_known[what .. " in " .. call] then self:visit(what .. " in " .. call) end
  if is_known["error" .. while_] then self:visit("error" .. while_) end
end

return points
