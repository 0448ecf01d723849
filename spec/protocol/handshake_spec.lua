local people = require "spec.support.people"
local client = require "spec.support.client"
local messages = require "spec.support.messages"
local ws_client = require "spec.support.ws_client"

local V2, V3 = client.PROTOCOLS.v2, client.PROTOCOLS.v3

describe("the handshake", function()
  local world

  setup(function() world = people.serve() end)
  teardown(function() world:remove() end)

  --- The subprotocol that these offers lead to.
  local function chosen(...)
    local connection = assert(client.open(world, { protocols = { ... } }))
    connection:shut()
    return connection.response.headers["sec-websocket-protocol"]
  end

  --- The status and text of a refusal.
  local function refused(options)
    local connection, response = client.open(world, options)
    assert.is_nil(connection)
    assert.is_table(response)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    return response.status, response.body
  end

  it("echoes the subprotocol that was offered", function()
    assert.equal(V2, chosen(V2))
    assert.equal(V3, chosen(V3))
  end)

  it("takes v3 when both are offered, in either order", function()
    assert.equal(V3, chosen(V3, V2))
    assert.equal(V3, chosen(V2, V3))
  end)

  it("finds a protocol it speaks among others", function()
    assert.equal(V2, chosen("v1.json.spacetimedb", V2, "v9.bsatn.spacetimedb"))
  end)

  it("refuses with 400 when it speaks none of the offers", function()
    assert.equal(400, (refused { protocols = { "v4.bsatn.spacetimedb" } }))
    assert.equal(400, (refused { headers = { ["Sec-WebSocket-Protocol"] = false } }))
  end)

  it("answers with the key's digest as RFC 6455 has it", function()
    local connection = assert(client.open(world))
    connection:shut()
    assert.equal(101, connection.response.status)
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", connection.response.headers["sec-websocket-accept"])
  end)

  it("accepts no extension", function()
    local connection = assert(client.open(world, { headers = { ["Sec-WebSocket-Extensions"] = "permessage-deflate" } }))
    connection:shut()
    assert.is_nil(connection.response.headers["sec-websocket-extensions"])
  end)

  it("tells the identity and its token in headers, the same as in InitialConnection", function()
    local connection = assert(client.open(world))
    local greeting = client.over(connection):expect "InitialConnection"
    connection:shut()
    assert.equal(greeting.identity, connection.response.headers["spacetime-identity"])
    assert.equal(greeting.token, connection.response.headers["spacetime-identity-token"])
  end)

  it("finds the database by its identity, with and without 0x", function()
    local id = world:request({ path = "/v1/database/%s/identity" }).body
    for _, name in ipairs { id, "0x" .. id } do
      local connection = assert(client.open(world, { database = name }))
      connection:shut()
    end
  end)

  it("refuses a database that is not there with 404", function()
    assert.equal(404, (refused { database = "nobody" }))
    assert.equal(404, (refused { database = ("0"):rep(64) }))
  end)

  it("refuses what can be no database's name with 400", function()
    for _, name in ipairs { "People", "a--b", "-a", "a-", "a_b", "%20" } do
      assert.equal(400, (refused { database = name }), name)
    end
  end)

  it("refuses a query parameter that does not parse with 400, and ignores those it does not know", function()
    for name, value in pairs { compression = "brotli", confirmed = "yes", light = "1", connection_id = "12" } do
      assert.equal(400, (refused { query = { [name] = value } }), name)
    end
    people.connect(world, { query = { wibble = "wobble", light = "true" } }):drop()
  end)

  it("takes every known compression, and never compresses", function()
    for _, compression in ipairs { "None", "Brotli", "Gzip" } do
      local ann = people.connect(world, { query = { compression = compression } })
      ann:call(people.call("add_long_name", { id = 7, letters = 5000 }))
      assert.equal(1, #ann:ask "SELECT * FROM person WHERE id = 7")
      ann:drop()
    end
  end)

  it("takes the connection id that the client chose", function()
    local id = ("0a1b2c3d"):rep(4)
    local ann = people.connect(world, { query = { connection_id = id } })
    ann:drop()
    assert.equal(id, ann.connection_id)
  end)

  it("refuses a connection id of zero with 400", function()
    assert.equal(400, (refused { query = { connection_id = ("0"):rep(32) } }))
  end)

  it("draws a connection id of its own otherwise", function()
    local ann, bob = people.connect(world), people.connect(world)
    ann:drop()
    bob:drop()
    assert.not_equal(ann.connection_id, bob.connection_id)
  end)

  it("refuses other methods than GET with 405", function()
    assert.equal(405, (refused { method = "POST", headers = { ["Content-Length"] = "0" } }))
  end)

  it("refuses a request that is no upgrade with 426", function()
    assert.equal(426, world:request({ path = "/v1/database/%s/subscribe" }).status)
  end)

  it("refuses another version of WebSocket than 13, and a missing key, with 400", function()
    assert.equal(400, (refused { headers = { ["Sec-WebSocket-Version"] = "8" } }))
    assert.equal(400, (refused { headers = { ["Sec-WebSocket-Version"] = false } }))
    assert.equal(400, (refused { headers = { ["Sec-WebSocket-Key"] = false } }))
  end)

  it("looks at the credentials before anything else", function()
    assert.equal(401, (refused { token = "nonsense", database = "No-Such!", method = "POST",
      headers = { ["Content-Length"] = "0" } }))
    assert.equal(400, (refused { headers = { Authorization = "Basic YW5uOmFubg==" }, database = "nobody" }))
  end)

  it("looks at names and query before the method, and at that before the database's existence", function()
    local post = { ["Content-Length"] = "0" }
    assert.equal(400, (refused { method = "POST", headers = post, query = { confirmed = "maybe" } }))
    assert.equal(405, (refused { method = "POST", headers = post, database = "nobody" }))
    assert.equal(404, (refused { database = "nobody", protocols = { "v4.bsatn.spacetimedb" } }))
  end)

  it("leaves other clients alone when it refuses one", function()
    local ann = people.connect(world)
    refused { token = "nonsense" }
    assert.is_true(ann:has_nothing())
    ann:drop()
  end)

  it("takes messages that come right behind the request, before the server has said anything", function()
    local hello = messages.client("OneOffQuery", { request_id = 1, query_string = "SELECT * FROM person" })
    local connection = assert(client.open(world, { protocol = "v2", behind = ws_client.frame { payload = hello } }))
    local early = client.over(connection)
    early:expect "InitialConnection"
    assert.equal(1, early:expect("OneOffQueryResult").request_id)
    early:drop()
  end)
end)
