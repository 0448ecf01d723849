--- The example modules, each with a few reducers of the spec's own behind it that look at the tables.
local bsatn = require "spec.support.bsatn"
local lua_host = require "spec.support.lua_host"

local function example(name, checks)
  local file = assert(io.open("examples/" .. name .. "/module.lua"))
  local text = file:read "*a"
  file:close()
  return lua_host.world(text .. checks)
end

local function text_argument(text)
  return bsatn.encode(bsatn.type "{ text: string }", { text = text })
end

local function succeeds(ok, _, text)
  assert(ok, text)
end

local function is_refused(expected, ok, code, text)
  assert.is_nil(ok)
  assert.equal(204, code)
  assert.equal("refused: " .. expected, text)
end

describe("the chat", function()
  local world

  before_each(function()
    world = example("chat", [[
      stdb.reducer("show", function(ctx)
        local me = ctx.db.user.identity:find(ctx.sender)
        local said = {}
        for message in ctx.db.message:iter() do said[#said + 1] = message.text end
        print(me and me.name, me and me.online, table.concat(said, ","))
      end)]])
  end)

  after_each(function()
    world:free()
  end)

  local function shown()
    succeeds(world:call "show")
    return (world.log[#world.log]:gsub("^module%.lua:%d+: ", ""))
  end

  it("knows who is online, and keeps names over reconnects", function()
    succeeds(world:call "client_connected")
    assert.equal("nil\ttrue\t", shown())
    succeeds(world:call("set_name", text_argument "ann"))
    succeeds(world:call "client_disconnected")
    assert.equal("ann\tfalse\t", shown())
    succeeds(world:call "client_connected")
    assert.equal("ann\ttrue\t", shown())
  end)

  it("keeps messages and refuses empty ones", function()
    succeeds(world:call "client_connected")
    succeeds(world:call("send_message", text_argument "hi"))
    is_refused("Messages must not be empty", world:call("send_message", text_argument ""))
    is_refused("Names must not be empty", world:call("set_name", text_argument ""))
    assert.equal("nil\ttrue\thi", shown())
  end)
end)

describe("the arena", function()
  local world

  before_each(function()
    world = example("arena", [[
      stdb.reducer("show", function(ctx)
        local me = ctx.db.player.identity:find(ctx.sender)
        print(ctx.db.coin:count(), me and me.score, me and ctx.db.best.name:find(me.name).score)
      end)
      stdb.reducer("step_onto_coin", function(ctx)
        local me = ctx.db.player.identity:get(ctx.sender)
        for coin in ctx.db.coin:iter() do me.x, me.y = coin.x, coin.y break end
        ctx.db.player.identity:update(me)
      end)
      stdb.reducer("stay", function(ctx)
        local me = ctx.db.player.identity:get(ctx.sender)
        print(me.x, me.y)
      end)]])
    succeeds(world:call "init")
  end)

  after_each(function()
    world:free()
  end)

  local function move(x, y)
    return world:call("move", bsatn.encode(bsatn.type "{ x: f32, y: f32 }", { x = x, y = y }))
  end

  local function place()
    succeeds(world:call "stay")
    local x, y = world.log[#world.log]:match "([%d.]+)\t([%d.]+)$"
    return tonumber(x), tonumber(y)
  end

  it("lets nobody run faster than their feet", function()
    is_refused("spawn first", move(1, 1))
    succeeds(world:call("spawn", text_argument "ann"))
    is_refused("ann is playing already", world:call("spawn", text_argument "ann"))
    local x, y = place()
    is_refused("nobody runs that fast", move(x > 500 and 0 or 1000, y))
    is_refused("that is off the field", move(-1, y))
    is_refused("that is off the field", move(0 / 0, y))
    world.context.timestamp_us = world.context.timestamp_us + 10000000
    succeeds(move(x > 500 and 0 or 1000, y))
  end)

  it("scores a coin that is reached and drops another", function()
    succeeds(world:call("spawn", text_argument "ann"))
    succeeds(world:call "step_onto_coin")
    succeeds(move(place()))
    succeeds(world:call "show")
    local coins, score, best = world.log[#world.log]:match "(%d+)\t(%d+)\t(%d+)$"
    assert.equal("50", coins)
    assert.is_true(tonumber(score) >= 1)
    assert.equal(score, best)
  end)

  it("forgets players that leave, and keeps the best scores", function()
    succeeds(world:call("spawn", text_argument "ann"))
    succeeds(world:call "leave")
    succeeds(world:call "client_disconnected")
    is_refused("spawn first", move(1, 1))
  end)
end)
