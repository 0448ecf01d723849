--- The garden example in a running server: what ticks, what is seen by whom, and what is only told.
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local server = require "spec.support.server"

local rows = bsatn.schema [[
  my_plots = { id: u64, owner: Identity, crop: < 0 radish: {} | 1 pumpkin: {} >, age: u32, ripe: bool }
  purse = { owner: Identity, coins: u64 }
  letter = { id: u64, sender: Identity, receiver: Identity, text: string }
  sale = { owner: Identity, crop: < 0 radish: {} | 1 pumpkin: {} >, coins: u64 }
]]

describe("the garden", function()
  local world, ann, ben

  setup(function()
    -- Its own seconds are too long for a spec.
    local text = server.read_file("examples/garden/module.lua"):gsub("seconds = 1 }", "milliseconds = 10 }")
    world = server.start { module = text }
    ann, ben = client.connect(world, { rows = rows }), client.connect(world, { rows = rows })
  end)
  teardown(function() world:remove() end)

  local function plant(one)
    local crop = { tag = "radish", value = {} }
    one:call_changes("plant", client.arguments("{ crop: < 0 radish: {} | 1 pumpkin: {} > }", { crop = crop }))
  end

  it("grows by itself, under the eyes of its owner alone", function()
    ann:subscribe(1, { "SELECT * FROM my_plots" })
    ben:subscribe(1, { "SELECT * FROM my_plots", "SELECT * FROM sale", "SELECT * FROM purse ORDER BY coins DESC LIMIT 1" })
    plant(ann)
    local plot
    repeat plot = ann:next_changes()[1].inserts[1] until plot.ripe
    assert.equal(3, plot.age)
    assert.is_true(ben:has_nothing())
    ann:call_changes("sell", client.arguments("{ plot: u64 }", { plot = plot.id }))
    local told = ben:next_changes()
    assert.same({ "purse", "sale" }, { told[1].table, told[2].table })
    assert.equal(2, tonumber(told[2].events[1].coins))
    assert.equal("Err", ben:call("sell", client.arguments("{ plot: u64 }", { plot = plot.id })).tag)
  end)

  it("delivers letters to their two ends", function()
    local eve = client.connect(world, { rows = rows })
    for _, one in ipairs { ann, ben, eve } do one:subscribe(2, { "SELECT * FROM letter" }) end
    local letter = client.arguments("{ to: Identity, text: string }", { to = ben.identity, text = "hi" })
    local sent = ann:call_changes("write", letter)
    assert.equal("hi", sent[1].inserts[1].text)
    assert.equal("hi", ben:next_changes()[1].inserts[1].text)
    assert.is_true(eve:has_nothing())
    assert.same({}, eve:ask "SELECT * FROM letter")
  end)
end)
