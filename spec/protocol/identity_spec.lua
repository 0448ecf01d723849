local cjson = require "cjson"
local net = require "spec.support.net"
local people = require "spec.support.people"
local client = require "spec.support.client"
local server = require "spec.support.server"

describe("an identity", function()
  local world, keys

  setup(function()
    world = people.serve()
    keys = assert(net.open_keys(world.data_dir .. "/keys"))
  end)
  teardown(function() world:remove() end)

  local function signed(claims)
    return keys:sign(cjson.encode(claims))
  end

  local function status_of(token)
    return world:request({ path = "/v1/ping", token = token }).status
  end

  it("is new for everybody who brings no token, begins with c200 and is printed in 64 digits", function()
    local ann, bob = people.connect(world), people.connect(world)
    ann:drop()
    bob:drop()
    assert.truthy(ann.identity:find("^c200" .. ("%x"):rep(60) .. "$"))
    assert.not_equal(ann.identity, bob.identity)
  end)

  it("is that of issuer and subject, as other servers compute it", function()
    local token = signed { iss = "localhost", sub = "6d4b5430-00cf-4a99-932c-ad2d07bab841", iat = os.time() }
    local ann = people.connect(world, { token = token })
    ann:drop()
    assert.equal("c200483152d642c7d402de06cacc36dcb0c2a1f2bbeb8e7d5a673f2435cca975", ann.identity)
  end)

  it("comes back with its token, which the client is told again", function()
    local ann = people.connect(world)
    ann:drop()
    local again = people.connect(world, { token = ann.token })
    again:drop()
    assert.equal(ann.identity, again.identity)
    assert.equal(ann.token, again.token)
    assert.not_equal(ann.connection_id, again.connection_id)
  end)

  it("comes back with its token after a restart", function()
    local ann = people.connect(world)
    world:kill()
    world:restart()
    local again = people.connect(world, { token = ann.token })
    again:drop()
    assert.equal(ann.identity, again.identity)
  end)

  it("is made over HTTP, and good for a connection", function()
    local made = cjson.decode(world:request({ method = "POST", path = "/v1/identity" }).body)
    local ann = people.connect(world, { token = made.token })
    ann:drop()
    assert.equal(made.identity, ann.identity)
  end)

  it("comes by way of a token of a minute, as browsers have it", function()
    local ann = people.connect(world)
    ann:drop()
    local exchanged = world:request { method = "POST", path = "/v1/identity/websocket-token", token = ann.token }
    assert.equal(200, exchanged.status)
    local short = cjson.decode(exchanged.body).token
    assert.not_equal(ann.token, short)
    local again = people.connect(world, { query = { token = short } })
    again:drop()
    assert.equal(ann.identity, again.identity)
    assert.equal(short, again.token) -- the very token it came with
  end)

  it("keeps its other claims in the exchange", function()
    local issuer = "https://elsewhere.example"
    local token = signed { iss = issuer, sub = "ann", iat = os.time(), aud = { "a", "b" }, colour = "red" }
    local exchanged = world:request { method = "POST", path = "/v1/identity/websocket-token", token = token }
    local short = cjson.decode(exchanged.body).token
    local middle = short:match "%.([^.]+)%.":gsub("[-_]", { ["-"] = "+", ["_"] = "/" })
    local claims = cjson.decode((require("mime").unb64(middle .. ("="):rep(-#middle % 4))))
    assert.same({ issuer, "ann", "red", { "a", "b" } }, { claims.iss, claims.sub, claims.colour, claims.aud })
    assert.is_true(claims.exp - os.time() > 50 and claims.exp - os.time() <= 60)
  end)

  it("is verified against its token", function()
    local ann, bob = people.connect(world), people.connect(world)
    ann:drop()
    bob:drop()
    local path = "/v1/identity/" .. ann.identity .. "/verify"
    assert.equal(204, world:request({ path = path, token = ann.token }).status)
    assert.equal(400, world:request({ path = path, token = bob.token }).status)
    assert.equal(401, world:request({ path = path }).status)
  end)

  it("that is the owner's is told with the databases it owns", function()
    local id = world:request({ path = "/v1/database/%s/identity" }).body
    local owner = people.connect(world, { token = world:owner_token() })
    owner:drop()
    assert.same({ identities = { id } },
      cjson.decode(world:request({ path = "/v1/identity/" .. owner.identity .. "/databases" }).body))
  end)

  it("is refused with 401 when its token is bad, expired or another server's", function()
    local now = os.time()
    local stranger_dir = server.new_folder()
    local stranger = assert(net.open_keys(stranger_dir))
    local good = { iss = "localhost", sub = "ann", iat = now }
    assert.equal(200, status_of(signed(good)))
    local tokens = {
      ["nonsense"] = "nonsense",
      ["three parts of nothing"] = "..",
      ["expired"] = signed { iss = "localhost", sub = "ann", iat = now - 1000, exp = now - 120 },
      ["another server's"] = stranger:sign(cjson.encode(good)),
      ["another issuer's"] = stranger:sign(cjson.encode { iss = "http://127.0.0.1:9", sub = "ann", iat = now }),
      ["without a subject"] = signed { iss = "localhost", iat = now },
      ["of another identity"] = signed { iss = "localhost", sub = "ann", iat = now, hex_identity = ("0"):rep(64) },
      ["changed"] = (signed(good):gsub("%.e", ".f", 1)),
      ["not signed"] = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0" .. signed(good):match "(%.[^.]+%.)",
    }
    for what, token in pairs(tokens) do
      assert.equal(401, status_of(token), what)
      local connection, response = client.open(world, { token = token })
      assert.is_nil(connection, what)
      assert.equal(401, response.status, what)
      assert.truthy(response.body:find "Invalid token", what)
      assert.equal(401, world:call("do_nothing", "[]", token).status, what)
    end
    server.remove_folder(stranger_dir)
  end)

  it("is still good in the minute after its token has expired", function()
    assert.equal(200, status_of(signed { iss = "localhost", sub = "ann", iat = os.time() - 90, exp = os.time() - 30 }))
  end)

  it("in the header wins over one in the query", function()
    local ann, bob = people.connect(world), people.connect(world)
    local both = people.connect(world, { token = ann.token, query = { token = bob.token } })
    assert.equal(ann.identity, both.identity)
    for _, gone in ipairs { ann, bob, both } do
      gone:drop()
    end
  end)
end)
