--- Bugs, planted in the disk, the driver and the tables: the simulation is worth what it says if it catches each.
--- A plant is what happens at some places of a history (Simulation:bug), and `says`, what must be found:
--- one of several sentences, since what is noticed first is chance.
local plants = {}

plants["a disk that says it has synced and has not"] = {
  says = { "no version between", "does not start" },
  born = function(simulation) simulation.disk:lie(true) end,
}

plants["an acknowledgement that does not wait for the disk"] = {
  says = { "no version between" },
  born = function(simulation) simulation.server:release_early(true) end,
}

local LOG, COPY = "^db/log/", "^db/log%.copy/"

--- The copy takes the place of the log.
local function put_copy(disk)
  for _, name in ipairs(disk:names()) do
    if name:find(LOG) then disk:set(name, nil) end
  end
  for _, name in ipairs(disk:names()) do
    if name:find(COPY) then
      disk:set((name:gsub(COPY, "db/log/")), disk:get(name))
      disk:set(name, nil)
    end
  end
end

--- The log is whole without them. The very last say who has left, and do not count: whoever is still there at a start
--- leaves then. A snapshot that is ahead of the log is refused.
plants["acknowledged records that are dropped"] = {
  says = { "no version between", "does not start" },
  stopped = function(simulation)
    simulation.disk:set_capacity(0)
    if simulation.server:copy_log(10) then put_copy(simulation.disk) end
  end,
}

plants["a call that is applied twice"] = {
  says = { "than it should", "should be told" },
  called = function(simulation, player, bytes)
    if simulation:chance(0.05) then simulation.server:post(player.number, bytes) end
  end,
  --- Nobody sees the second answer.
  received = function(_, player, message)
    if message.tag ~= "ReducerResult" then return false end
    player.answered = player.answered or {}
    local id = message.value.request_id
    local is_second = player.answered[id]
    player.answered[id] = true
    return is_second
  end,
}

plants["half of a transaction that is gone after a restart"] = {
  says = { "no version between" },
  recovered = function(simulation)
    if simulation.life > 1 then simulation.server:spoil_row "account" end
  end,
}

plants["an index that lacks a row"] = {
  says = { "does not have the table's rows" },
  verified = function(simulation) simulation.server:spoil_index("account", 1) end,
}

plants["a sequence that begins again after a restart"] = {
  says = { "no version between" },
  recovered = function(simulation) simulation.server:spoil_sequence("entry", 1) end,
}

plants["an update that never comes"] = {
  says = { "than it should", "should be told", "that the client does not have" },
  received = function(simulation, _, message) return message.tag == "TransactionUpdate" and simulation:chance(0.05) end,
}

return plants
