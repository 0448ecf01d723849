--- What those who are connected still get from a server that stops.
local client = require "spec.support.client"
local server = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

local MODULE = [[
local stdb = require "stdb"
stdb.on.disconnect(function(ctx)
  for _ = 1, 15 do ctx.log.info(("farewell "):rep(440)) end
end)
]]

--- Clients that stay until the server goes.
local function crowd(world)
  local clients = {}
  for place = 1, 45 do
    clients[place] = assert(client.connect(world))
  end
  return clients
end

local function follow(world)
  local follower = assert(ws_client.open { port = world.port })
  follower:send_request { path = "/v1/database/world/logs?follow=true",
    headers = { Authorization = "Bearer " .. world:owner_token() } }
  assert.equal(200, follower:read_head().status)
  return follower
end

describe("a server that stops", function()
  it("gives the followers of its log all its last lines", function()
    local world = server.start { module = MODULE }
    local clients = crowd(world)
    local follower = follow(world)
    world:signal_stop()
    local lines, chunk = 0
    repeat
      chunk = follower:read_chunk(server.patience)
      lines = lines + select(2, (chunk or ""):gsub("\n", ""))
    until chunk == nil or chunk == ""
    assert.equal("", chunk)
    assert.equal(#clients * 15, lines)
    assert.equal(0, world:stop())
    world:remove()
  end)

  it("does not wait for followers that do not read", function()
    local world = server.start { module = MODULE }
    local clients = crowd(world)
    follow(world)
    assert.equal(0, world:stop())
    assert.equal(45, #clients)
    world:remove()
  end)
end)
