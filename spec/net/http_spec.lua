local net = require "spec.support.net"

describe("HTTP", function()
  local engine

  setup(function() engine = net.start_engine() end)
  teardown(function() assert.equal(0, engine:stop()) end)

  local function get(path, headers)
    return assert(engine:request { path = path, headers = headers })
  end

  local function post(path, body, headers)
    return assert(engine:request { method = "POST", path = path, body = body or "", headers = headers })
  end

  local JSON = { ["Content-Type"] = "application/json" }
  local ECHO_ID = ("ec"):rep(32)

  local function new_identity()
    local body = post("/v1/identity").body
    return body:match '"identity":"(%x+)"', body:match '"token":"([^"]+)"'
  end

  local function bearer(token)
    return { Authorization = "Bearer " .. token }
  end

  describe("about the server", function()
    it("answers pings with nothing", function()
      local answer = get "/v1/ping"
      assert.equal(200, answer.status)
      assert.equal("", answer.body)
    end)

    it("refuses a bad token even there", function()
      assert.equal(401, get("/v1/ping", bearer "abc").status)
      assert.equal(400, get("/v1/ping", { Authorization = "Basic abc" }).status)
      assert.equal(401, get("/v1/ping?token=abc").status)
      assert.equal(200, get("/v1/ping", bearer(select(2, new_identity()))).status)
    end)

    it("tells its health, name and version", function()
      local answer = get "/v1/health"
      assert.equal("application/json", answer.headers["content-type"])
      assert.truthy(answer.body:match('^{"package_name":"stdb%-lua","version":"%d+%.%d+%.%d+",'
        .. '"nodes":%[0%],"schedulable":true}$'))
    end)

    it("says nothing about its make", function()
      assert.is_nil(get("/v1/ping").headers.server)
    end)

    it("knows its paths and their methods", function()
      assert.equal(404, get("/").status)
      assert.equal(404, get("/v1").status)
      assert.equal(404, get("/v1/pings").status)
      assert.equal(404, get("/v1/database/echo/call/a/b").status)
      assert.equal(404, get("/" .. ("a/"):rep(100)).status)
      assert.equal(405, post("/v1/ping").status)
      assert.equal(405, get("/v1/identity").status)
      assert.equal(405, get("/v1/database/echo/sql").status)
      assert.equal(405, assert(engine:request { method = "PATCH", path = "/v1/database/echo" }).status)
      assert.equal("text/plain; charset=utf-8", get("/v1/pings").headers["content-type"])
    end)

    it("answers HEAD like GET without the body", function()
      local connection = net.client.open { port = engine.port }
      connection:send_request { method = "HEAD", path = "/v1/health" }
      local answer = assert(connection:read_response(2, true))
      assert.equal(200, answer.status)
      assert.truthy(tonumber(answer.headers["content-length"]) > 0)
      assert.equal(200, assert(connection:request { path = "/v1/ping" }).status)
      connection:shut()
    end)
  end)

  describe("for pages of other origins", function()
    it("lets any origin read every answer", function()
      assert.equal("*", get("/v1/ping").headers["access-control-allow-origin"])
      assert.equal("*", get("/nowhere").headers["access-control-allow-origin"])
      assert.equal("*", get("/v1/database/none").headers["access-control-allow-origin"])
    end)

    it("answers preflights below /v1", function()
      local answer = assert(engine:request { method = "OPTIONS", path = "/v1/identity/websocket-token", headers = {
        Origin = "http://example.com", ["Access-Control-Request-Method"] = "POST",
        ["Access-Control-Request-Headers"] = "authorization",
      } })
      assert.equal(200, answer.status)
      assert.equal("*", answer.headers["access-control-allow-origin"])
      assert.equal("*", answer.headers["access-control-allow-methods"])
      assert.equal("authorization, accept, content-type", answer.headers["access-control-allow-headers"])
    end)
  end)

  describe("about identities", function()
    it("makes new ones", function()
      local first, second = new_identity(), new_identity()
      assert.truthy(first:match "^c200%x+$")
      assert.equal(64, #first)
      assert.not_equal(first, second)
    end)

    it("publishes its key", function()
      local answer = get "/v1/identity/public-key"
      assert.equal("application/pem-certificate-chain", answer.headers["content-type"])
      assert.truthy(answer.body:match "^%-%-%-%-%-BEGIN PUBLIC KEY")
    end)

    it("exchanges a token for one that lives a minute", function()
      local _, token = new_identity()
      local answer = post("/v1/identity/websocket-token", "", bearer(token))
      assert.equal(200, answer.status)
      local keys = assert(net.open_keys(engine.keys_dir))
      local claims = assert(keys:verify(answer.body:match '^{"token":"([^"]+)"}$'))
      assert.truthy(math.abs(claims.expires_at - os.time() - 60) <= 2)
    end)

    it("exchanges nothing without a good token", function()
      assert.equal(401, post("/v1/identity/websocket-token").status)
      local answer = post("/v1/identity/websocket-token", "", bearer "a.b.c")
      assert.equal(401, answer.status)
      assert.truthy(answer.body:match "Invalid token")
    end)

    it("verifies whose a token is", function()
      local who, token = new_identity()
      assert.equal(204, get("/v1/identity/" .. who .. "/verify", bearer(token)).status)
      local other = get("/v1/identity/" .. ("0"):rep(64) .. "/verify", bearer(token))
      assert.equal(400, other.status)
      assert.equal("", other.body)
      assert.equal(401, get("/v1/identity/" .. who .. "/verify").status)
      assert.equal(400, get("/v1/identity/me/verify", bearer(token)).status)
    end)

    it("lists the databases of an owner", function()
      local owner = ("0"):rep(62) .. "07"
      assert.truthy(get("/v1/identity/" .. owner .. "/databases").body:match('^{"identities":%["%x+","%x+"%]}$'))
      assert.equal('{"identities":[]}', get("/v1/identity/" .. ("1"):rep(64) .. "/databases").body)
      assert.equal(400, get("/v1/identity/x/databases").status)
    end)
  end)

  describe("about a database", function()
    it("finds it by name and by identity", function()
      assert.equal(ECHO_ID, get("/v1/database/echo/identity").body)
      assert.equal(ECHO_ID, get("/v1/database/" .. ECHO_ID .. "/identity").body)
      assert.equal(ECHO_ID, get("/v1/database/0x" .. ECHO_ID .. "/identity").body)
      assert.equal('{"names":["echo"]}', get("/v1/database/" .. ECHO_ID .. "/names").body)
      assert.equal('{"followed":false}', get("/v1/database/echo").body)
    end)

    it("says when there is none", function()
      local unknown = get "/v1/database/none"
      assert.equal(404, unknown.status)
      assert.equal("`none` not found", unknown.body)
      local nobody = get("/v1/database/" .. ("1"):rep(64))
      assert.equal(404, nobody.status)
      assert.equal("No such database.", nobody.body)
    end)

    it("refuses what cannot be a name", function()
      for _, name in ipairs { "Echo", "-echo", "echo-", "a--b", "a_b", "a.b", "%C3%A9" } do
        assert.equal(400, get("/v1/database/" .. name .. "/identity").status, name)
      end
    end)

    it("gives those without a token an identity, and shows everyone theirs", function()
      local first, second = get "/v1/database/echo", get "/v1/database/none"
      assert.equal(64, #first.headers["spacetime-identity"])
      assert.not_equal(first.headers["spacetime-identity"], second.headers["spacetime-identity"])
      local token = first.headers["spacetime-identity-token"]
      for _, answer in ipairs {
        get("/v1/database/echo", bearer(token)), get("/v1/database/none", bearer(token)),
        get("/v1/database/echo?token=" .. token), post("/v1/database/echo/sql", "x", bearer(token)),
      } do
        assert.equal(first.headers["spacetime-identity"], answer.headers["spacetime-identity"])
        assert.equal(token, answer.headers["spacetime-identity-token"])
      end
    end)

    it("asks for a token's validity before anything else", function()
      local answer = get("/v1/database/Bad_Name", bearer "x.y.z")
      assert.equal(401, answer.status)
      assert.is_nil(answer.headers["spacetime-identity"])
    end)

    it("lets the header's token win over the query's", function()
      local who, token = new_identity()
      local answer = get("/v1/database/echo?token=broken", bearer(token))
      assert.equal(who, answer.headers["spacetime-identity"])
    end)

    it("hands calls to the engine", function()
      local answer = post("/v1/database/echo/call/add_user", '["ann",1]', JSON)
      assert.equal(200, answer.status)
      assert.equal('add_user ["ann",1]', answer.body)
      assert.equal("42", answer.headers["spacetime-execution-duration-micros"])
      assert.equal(530, post("/v1/database/echo/call/fail", "[]", JSON).status)
    end)

    it("insists on the content type of calls", function()
      assert.equal(400, post("/v1/database/echo/call/f", "[]").status)
      assert.equal(415, post("/v1/database/echo/call/f", "[]", { ["Content-Type"] = "text/plain" }).status)
      assert.equal(415, post("/v1/database/echo/call/f", "[]", { ["Content-Type"] = "application/json; charset=utf-8" }).status)
    end)

    it("refuses bodies that are not UTF-8", function()
      assert.equal(400, post("/v1/database/echo/call/f", '["\255"]', JSON).status)
      assert.equal(400, post("/v1/database/echo/sql", "SELECT \192\128").status)
    end)

    it("hands SQL to the engine and waits for the disk unless told not to", function()
      local start = net.client.now()
      assert.equal('[{"confirmed":true,"sql":"SELECT 1"}]', post("/v1/database/echo/sql", "SELECT 1").body)
      assert.truthy(net.client.now() - start > 0.045)
      assert.equal('[{"confirmed":false,"sql":"SELECT 2"}]', post("/v1/database/echo/sql?confirmed=false", "SELECT 2").body)
      assert.equal(400, post("/v1/database/echo/sql?confirmed=maybe", "SELECT 3").status)
    end)

    it("passes on the wanted version of the schema", function()
      assert.equal('{"version":9}', get("/v1/database/echo/schema?version=9").body)
      assert.equal('{"version":0}', get("/v1/database/echo/schema").body)
      assert.equal(400, get("/v1/database/echo/schema?version=ten").status)
      assert.equal(400, get("/v1/database/echo/schema?version=99999999999").status)
    end)

    it("serves logs", function()
      local answer = get "/v1/database/echo/logs?num_lines=12"
      assert.equal("application/x-ndjson", answer.headers["content-type"])
      assert.equal('{"line_count":12}\n', answer.body)
      assert.equal('{"line_count":-1}\n', get("/v1/database/echo/logs").body)
      assert.equal(400, get("/v1/database/echo/logs?num_lines=-1").status)
      assert.equal(400, get("/v1/database/echo/logs?follow=1").status)
    end)

    local function followed()
      return get("/v1/database/echo").body == '{"followed":true}'
    end

    it("streams a followed log until the follower goes", function()
      local connection = net.client.open { port = engine.port }
      connection:send_request { path = "/v1/database/echo/logs?num_lines=2&follow=true" }
      local answer = assert(connection:read_head())
      assert.equal("chunked", answer.headers["transfer-encoding"])
      assert.equal("no-cache", answer.headers["cache-control"])
      assert.equal('{"line_count":2}\n', connection:read_chunk())
      assert.equal('{"more":1}\n', connection:read_chunk())
      assert.truthy(followed())
      connection:shut()
      local limit = net.client.now() + 5
      while followed() and net.client.now() < limit do net.client.sleep(0.05) end
      assert.falsy(followed())
    end)

    it("wants a WebSocket where it serves one", function()
      assert.equal(426, get("/v1/database/echo/subscribe").status)
    end)
  end)

  describe("connections", function()
    local connection

    before_each(function() connection = assert(net.client.open { port = engine.port }) end)
    after_each(function() connection:shut() end)

    it("carry many requests of all kinds", function()
      for round = 1, 20 do
        assert.equal(200, assert(connection:request { path = "/v1/ping" }).status)
        local answer = assert(connection:request {
          method = "POST", path = "/v1/database/echo/call/f", body = "[" .. round .. "]", headers = JSON,
        })
        assert.equal("f [" .. round .. "]", answer.body)
        assert.equal(200, assert(connection:request { method = "POST", path = "/v1/identity", body = "" }).status)
        assert.equal(404, assert(connection:request { method = "POST", path = "/nowhere", body = ("x"):rep(1000) }).status)
      end
    end)

    it("end after an answer when the next request came before it", function()
      local requests = {
        "GET /v1/database/echo HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /v1/identity HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "POST /v1/database/echo/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nSELECT",
        "POST /v1/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nSELECT",
      }
      for _, first in ipairs(requests) do
        for _, second in ipairs(requests) do
          local other = net.client.open { port = engine.port }
          other:send_raw(first .. second)
          assert.truthy(other:read_response(2))
          assert.truthy(other:is_closed(2))
          other:shut()
        end
      end
    end)

    it("may bring a request in pieces", function()
      local whole = "POST /v1/database/echo/call/f HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\n"
        .. "Content-Length: 5\r\n\r\n[1,2]"
      for at = 1, #whole, 9 do
        connection:send_raw(whole:sub(at, at + 8))
        net.client.sleep(0.002)
      end
      assert.equal("f [1,2]", assert(connection:read_response()).body)
    end)

    it("take bodies up to 2 MiB", function()
      local body = "[\"" .. ("x"):rep(2 * 1024 * 1024 - 4) .. "\"]"
      local call = { method = "POST", path = "/v1/database/echo/call/f", body = body, headers = JSON }
      local answer = assert(connection:request(call))
      assert.equal("f " .. body, answer.body)
      call.body = body .. " "
      answer = assert(connection:request(call))
      assert.equal(413, answer.status)
      assert.equal(200, assert(connection:request { path = "/v1/ping" }).status)
    end)

    it("end after a refusal of a body that is far too long", function()
      connection:send_raw "POST /v1/database/echo/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
      local answer = assert(connection:read_response())
      assert.equal(413, answer.status)
      assert.equal("close", answer.headers.connection)
      assert.truthy(connection:is_closed(2))
    end)

    it("end after a request whose length is unknown or no number", function()
      for header, status in pairs {
        ["Transfer-Encoding: chunked"] = 411, ["Content-Length: -1"] = 400, ["Content-Length: 1x"] = 400,
        ["Content-Length: 1\r\nContent-Length: 2"] = 400,
      } do
        local other = net.client.open { port = engine.port }
        other:send_raw("POST /v1/database/echo/sql HTTP/1.1\r\nHost: x\r\n" .. header .. "\r\n\r\n")
        assert.equal(status, assert(other:read_response()).status, header)
        assert.truthy(other:is_closed(2))
        other:shut()
      end
    end)

    it("take a POST without a body", function()
      connection:send_raw "POST /v1/identity HTTP/1.1\r\nHost: x\r\n\r\n"
      assert.equal(200, assert(connection:read_response()).status)
    end)

    it("end when the client wants them to", function()
      local answer = assert(connection:request { path = "/v1/ping", headers = { Connection = "close" } })
      assert.equal(200, answer.status)
      assert.truthy(connection:is_closed(2))
    end)

    it("survive an offer of HTTP/2", function()
      local answer = assert(connection:request { path = "/v1/health", headers = {
        Connection = "Upgrade, HTTP2-Settings", Upgrade = "h2c", ["HTTP2-Settings"] = "AAMAAABkAAQCAAAAAAIAAAAA",
      } })
      assert.equal(200, answer.status)
      assert.equal(200, assert(connection:request { path = "/v1/ping" }).status)
    end)

    it("end when another upgrade is asked for, at first or later", function()
      local upgrade = "GET /v1/ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
      for _, kind in ipairs { "TLS/1.0", "foo", "websocket2", ("u"):rep(1000) } do
        for earlier = 0, 3 do
          local other = net.client.open { port = engine.port }
          for _ = 1, earlier do assert.equal(200, assert(other:request { path = "/v1/ping" }).status) end
          other:send_raw(upgrade:format(kind))
          local answer = other:read_response(2)
          assert.truthy(not answer or answer.status == 403)
          assert.truthy(other:is_closed(2))
          other:shut()
        end
      end
      assert.equal(200, get("/v1/ping").status)
    end)

    it("may go while the engine is at work", function()
      for _ = 1, 2 do
        local other = net.client.open { port = engine.port }
        other:send_request { method = "POST", path = "/v1/database/echo/call/slow", body = "[]", headers = JSON }
        other:shut()
      end
      assert.equal('f []', post("/v1/database/echo/call/f", "[]", JSON).body)
    end)

    it("that speak no HTTP do no harm", function()
      math.randomseed(20)
      for _ = 1, 50 do
        local other = net.client.open { port = engine.port }
        local noise = {}
        for idx = 1, math.random(1, 400) do noise[idx] = string.char(math.random(0, 255)) end
        other:send_raw(table.concat(noise) .. "\r\n\r\n")
        other:shut()
      end
      assert.equal(200, get("/v1/ping").status)
    end)

    it("with endless headers are ended", function()
      connection:send_raw "GET /v1/ping HTTP/1.1\r\nHost: x\r\n"
      for idx = 1, 2000 do
        if not connection:send_raw(("X-Header-%d: %s\r\n"):format(idx, ("y"):rep(60))) then break end
      end
      assert.truthy(connection:is_closed(2) or connection:read_response())
      assert.equal(200, get("/v1/ping").status)
    end)
  end)
end)

describe("the address to listen at", function()
  it("is refused in words when another program has it", function()
    local engine = net.start_engine()
    local dir = net.make_dir()
    local pipe = io.popen(("%s %s 127.0.0.1:%d </dev/null 2>&1"):format(
      os.getenv "STDB_ECHO" or "build/echo-engine", dir, engine.port))
    assert.truthy(pipe:read "*a":match "cannot listen at 127%.0%.0%.1:%d+: another program listens there already")
    pipe:close()
    net.remove_dir(dir)
    engine:stop()
  end)

  it("is refused in words when it is none", function()
    local dir = net.make_dir()
    for _, address in ipairs { "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "", "no.such.host.invalid:1" } do
      local pipe = io.popen(("%s %s '%s' </dev/null 2>&1"):format(os.getenv "STDB_ECHO" or "build/echo-engine", dir, address))
      assert.truthy(pipe:read "*a":match "listen at", address)
      pipe:close()
    end
    net.remove_dir(dir)
  end)
end)
