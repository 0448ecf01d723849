--- The module spec/protocol/modules/people.lua from outside: its row types, and its reducers' arguments.
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local server = require "spec.support.server"

local people = {}

people.MODULE = "spec/protocol/modules/people.lua"

people.rows = bsatn.schema [[
    person = { id: u32, name: string, age: u8 }
    pet = { id: u64, owner: u32, kind: < 0 cat: {} | 1 dog: {} > }
    pair = { left: u16, right: u16 }
    note = { author: Identity, text: string }
    nothing = { id: u32 }
    secret = { id: u32 }
    bell = { id: u32, tone: string }
    visit = { id: u32, event: string, who: Identity, connection: ConnectionId }
]]

local parameters = bsatn.schema [[
    set_mood = { name: string }
    add_person = { id: u32, name: string, age: u8 }
    rename_person = { id: u32, name: string }
    remove_person = { id: u32 }
    add_people = { first: u32, count: u32 }
    add_long_name = { id: u32, letters: u32 }
    add_person_with_pet = { id: u32, name: string, kind: < 0 cat: {} | 1 dog: {} > }
    add_pair = { left: u16, right: u16 }
    replace_pair = { left: u16, right: u16 }
    flash_pair = { left: u16, right: u16 }
    write_note = { text: string }
    ring = { id: u32, tone: string }
    add_secret = { id: u32 }
    refuse = { text: string }
    dawdle = { steps: u32 }
    say = { text: string }
]]

--- The name and the argument bytes of a call: client:call(people.call("add_pair", { left = 1, right = 2 })).
function people.call(reducer, values)
  return reducer, values and bsatn.encode(parameters[reducer], values) or ""
end

function people.serve(options)
  options = options or {}
  options.module = people.MODULE
  options.database = options.database or "people"
  return server.start(options)
end

--- A client that knows the rows.
function people.connect(world, options)
  options = options or {}
  options.rows = people.rows
  return client.connect(world, options)
end

--- The owner's view of who came and went: { "connect <hex of the connection>", … }, oldest first.
function people.visits(world)
  local owner = people.connect(world, { token = world:owner_token() })
  local visits = {}
  for place, visit in ipairs(owner:ask "SELECT * FROM visit") do
    visits[place] = visit.event .. " " .. visit.connection
  end
  owner:drop()
  return visits
end

return people
