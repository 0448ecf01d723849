local net = require "spec.support.net"

local function b64(text)
  return net.written(function(buf) net.core.base64url_encode(buf, net.bytes(text)) end)
end

local function unb64(text)
  local good
  local decoded = net.written(function(buf) good = net.core.base64url_decode(buf, net.bytes(text)) end)
  return good and decoded or nil
end

describe("base64url", function()
  it("spells bytes without padding", function()
    assert.equal("", b64 "")
    assert.equal("Zg", b64 "f")
    assert.equal("Zm8", b64 "fo")
    assert.equal("Zm9v", b64 "foo")
    assert.equal("-_-_", b64 "\251\255\191")
  end)

  it("reads back what it wrote", function()
    for size = 0, 70 do
      local text = string.rep("\0\255\128z", 20):sub(1, size)
      assert.equal(text, unb64(b64(text)))
    end
  end)

  it("refuses padding, foreign characters, a lone digit and loose bits", function()
    for _, text in ipairs { "Zg==", "Zm8=", "Z", "Zm9vZ", "Zh", "Zm9", "Z+9v", "Zm 9", "Zm9v\n" } do
      assert.is_nil(unb64(text), text)
    end
  end)
end)

describe("token keys", function()
  local dir

  before_each(function() dir = net.make_dir() end)
  after_each(function() net.remove_dir(dir) end)

  local function write(name, content)
    local file = assert(io.open(dir .. "/" .. name, "w"))
    file:write(content)
    file:close()
  end

  local function read(name)
    local file = io.open(dir .. "/" .. name)
    return file and file:read "*a", file and file:close()
  end

  it("are made on first use and kept", function()
    local first = assert(net.open_keys(dir))
    local token = first:mint()
    assert.truthy(read "id_ecdsa":match "BEGIN PRIVATE KEY")
    assert.equal(read "id_ecdsa.pub", first:public_pem())
    assert.truthy(assert(net.open_keys(dir)):verify(token))
  end)

  it("are refused when the private one is missing, and it stays so", function()
    net.open_keys(dir)
    os.remove(dir .. "/id_ecdsa")
    local keys, reason = net.open_keys(dir)
    assert.is_nil(keys)
    assert.truthy(reason:match "id_ecdsa is missing")
    assert.is_nil(read "id_ecdsa")
  end)

  it("are whole again when a first start was cut short before the public one was written", function()
    net.open_keys(dir)
    local before = read "id_ecdsa.pub"
    os.remove(dir .. "/id_ecdsa.pub")
    assert.truthy(net.open_keys(dir))
    assert.equal(before, read "id_ecdsa.pub")
  end)

  it("are refused when they do not belong together", function()
    local other = net.make_dir()
    net.open_keys(dir)
    local foreign = net.open_keys(other)
    write("id_ecdsa.pub", foreign:public_pem())
    net.remove_dir(other)
    local keys, reason = net.open_keys(dir)
    assert.is_nil(keys)
    assert.truthy(reason:match "do not belong together")
  end)

  it("are refused when a file does not hold a key", function()
    net.open_keys(dir)
    write("id_ecdsa", "not a key")
    local keys, reason = net.open_keys(dir)
    assert.is_nil(keys)
    assert.truthy(reason:match "id_ecdsa does not hold")
  end)

  it("are refused on another curve", function()
    os.execute(("cd %s && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out id_ecdsa 2>/dev/null"
      .. " && openssl pkey -in id_ecdsa -pubout -out id_ecdsa.pub 2>/dev/null"):format(dir))
    local keys, reason = net.open_keys(dir)
    assert.is_nil(keys)
    assert.truthy(reason:match "P%-256")
  end)

  it("made by openssl's own tools are taken", function()
    os.execute(("cd %s && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out id_ecdsa 2>/dev/null"
      .. " && openssl pkey -in id_ecdsa -pubout -out id_ecdsa.pub 2>/dev/null"):format(dir))
    local keys = assert(net.open_keys(dir))
    assert.truthy(keys:verify((keys:mint())))
  end)
end)

describe("token", function()
  local dir, keys

  setup(function()
    dir = net.make_dir()
    keys = assert(net.open_keys(dir))
  end)
  teardown(function()
    keys = nil
    net.remove_dir(dir)
  end)

  local function refusal(token)
    local claims, reason = keys:verify(token)
    assert.is_nil(claims)
    assert.equal("Invalid token", reason:sub(1, 13))
    return reason
  end

  local function payload(fields)
    local parts = {}
    for _, name in ipairs { "hex_identity", "sub", "iss", "aud", "iat", "exp" } do
      if fields[name] then parts[#parts + 1] = ('"%s":%s'):format(name, fields[name]) end
    end
    return "{" .. table.concat(parts, ",") .. "}"
  end

  -- The identity of these claims stands in the fact sheet of identities.
  local SUBJECT, ISSUER = '"6d4b5430-00cf-4a99-932c-ad2d07bab841"', '"localhost"'
  local IDENTITY = "c200483152d642c7d402de06cacc36dcb0c2a1f2bbeb8e7d5a673f2435cca975"

  it("for a new identity says who it is and never expires", function()
    local token, identity = keys:mint()
    local claims = assert(keys:verify(token))
    assert.equal(identity, claims.identity)
    assert.equal("localhost", claims.issuer)
    assert.truthy(claims.subject:match "^%x+%-%x+%-4%x%x%x%-[89ab]%x%x%x%-%x+$")
    assert.is_nil(claims.expires_at)
    assert.truthy(math.abs(claims.issued_at - os.time()) <= 2)
    assert.truthy(claims.payload:match '^{"hex_identity":"c200%x+","sub":"[%x-]+","iss":"localhost","aud":%["spacetimedb"%],'
      .. '"iat":%d+,"exp":null}$')
  end)

  it("differs from mint to mint", function()
    local _, first = keys:mint()
    local _, second = keys:mint()
    assert.not_equal(first, second)
  end)

  it("belongs to the identity of its issuer and subject", function()
    local claims = assert(keys:verify(keys:sign(payload { sub = SUBJECT, iss = ISSUER, iat = 1 })))
    assert.equal(IDENTITY, claims.identity)
  end)

  it("may state its identity, but no other", function()
    local function stating(identity)
      return keys:sign(payload { hex_identity = '"' .. identity .. '"', sub = SUBJECT, iss = ISSUER, iat = 1 })
    end
    assert.truthy(keys:verify(stating(IDENTITY)))
    local other = "c2" .. ("0"):rep(62)
    assert.truthy(refusal(stating(other)):match "identity")
    assert.truthy(refusal(stating "c2"):match "identity")
  end)

  it("is readable by other programs", function()
    local token = keys:mint()
    local script = [[
      const crypto = require("crypto"), [header, payload, signature] = process.argv[1].split(".");
      const good = crypto.verify("sha256", Buffer.from(header + "." + payload),
        { key: require("fs").readFileSync(process.argv[2]), dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
      console.log(good, Buffer.from(header, "base64url").toString());
    ]]
    local pipe = assert(io.popen(("node -e '%s' %s %s/id_ecdsa.pub"):format(script, token, dir)))
    local answer = pipe:read "*a"
    pipe:close()
    assert.equal('true {"typ":"JWT","alg":"ES256"}\n', answer)
  end)

  it("is refused when a character of it is another", function()
    local token = keys:mint()
    for at = 1, #token, 7 do
      local changed = token:sub(at, at) == "A" and "B" or "A"
      assert.is_nil(keys:verify(token:sub(1, at - 1) .. changed .. token:sub(at + 1)))
    end
  end)

  it("is refused when it is cut, lengthened or empty", function()
    local token = keys:mint()
    refusal ""
    refusal ".."
    refusal(token:sub(1, -2))
    refusal(token .. "A")
    refusal(token .. ".")
    refusal(token:match "^(.*)%.")
    refusal(("A"):rep(9000))
  end)

  it("is refused under another key", function()
    local other_dir = net.make_dir()
    local token = assert(net.open_keys(other_dir)):mint()
    net.remove_dir(other_dir)
    assert.truthy(refusal(token):match "signature")
  end)

  it("is refused under any algorithm but ES256", function()
    local rest = keys:mint():match "^[^.]*(%..*)$"
    for _, header in ipairs {
      '{"alg":"none"}', '{"typ":"JWT","alg":"HS256"}', '{"alg":"RS256"}', '{"alg":"es256"}', '{"typ":"JWT"}', "{}",
      '{"alg":"ES256","alg":"none"}', '{"alg":1}',
    } do
      assert.truthy(refusal(b64(header) .. rest):match "algorithm" or refusal(b64(header) .. rest):match "ES256")
    end
  end)

  it("is not believed when it is signed with the public key as a secret", function()
    local signed = b64 '{"typ":"JWT","alg":"HS256"}' .. "." .. b64(payload { sub = SUBJECT, iss = ISSUER, iat = 1 })
    local secret = keys:public_pem():gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    local pipe = io.popen(("printf %%s '%s' | openssl dgst -sha256 -mac HMAC -macopt hexkey:%s -binary"
      .. " | base64 -w0 | tr '+/' '-_' | tr -d ="):format(signed, secret))
    local mac = pipe:read "*a"
    pipe:close()
    assert.truthy(refusal(signed .. "." .. mac):match "ES256")
  end)

  it("is refused when its header is no JSON object or asks for extensions", function()
    local rest = keys:mint():match "^[^.]*(%..*)$"
    assert.truthy(refusal(b64 "[]" .. rest):match "JSON")
    assert.truthy(refusal(b64 '{"alg":"ES256"' .. rest):match "JSON")
    assert.truthy(refusal(b64 '{"alg":"ES256","crit":["x"]}' .. rest):match "extensions")
  end)

  it("needs an issuer, a subject and a time of issue", function()
    refusal(keys:sign(payload { iss = ISSUER, iat = 1 }))
    refusal(keys:sign(payload { sub = SUBJECT, iat = 1 }))
    refusal(keys:sign(payload { sub = SUBJECT, iss = ISSUER }))
  end)

  it("has texts of 1 to 128 bytes for issuer and subject", function()
    local longest = '"' .. ("x"):rep(128) .. '"'
    assert.truthy(keys:verify(keys:sign(payload { sub = longest, iss = longest, iat = 1 })))
    for _, bad in ipairs { '""', '"' .. ("x"):rep(129) .. '"', "7", "null", '["x"]', '"a\\u0000b"', '"\\ud800"' } do
      assert.truthy(refusal(keys:sign(payload { sub = bad, iss = ISSUER, iat = 1 })):match "subject", bad)
      assert.truthy(refusal(keys:sign(payload { sub = SUBJECT, iss = bad, iat = 1 })):match "issuer", bad)
    end
  end)

  it("resolves escapes in its texts", function()
    local claims = assert(keys:verify(keys:sign '{"sub":"a\\u00e9\\ud83d\\ude00\\n\\/\\\\","iss":"\\u0041","iat":1}'))
    assert.equal("a\195\169\240\159\152\128\n/\\", claims.subject)
    assert.equal("A", claims.issuer)
  end)

  it("has an integer for its time of issue", function()
    for _, bad in ipairs { "1.5", '"1"', "null", "1e3", "1234567890123456789" } do
      assert.truthy(refusal(keys:sign(payload { sub = SUBJECT, iss = ISSUER, iat = bad })):match "iat", bad)
    end
  end)

  it("is good for a minute after it has expired, and no longer", function()
    local function expiring(seconds)
      return keys:sign(payload { sub = SUBJECT, iss = ISSUER, iat = 1, exp = os.time() + seconds })
    end
    assert.truthy(keys:verify(expiring(10)))
    assert.truthy(keys:verify(expiring(-50)))
    assert.truthy(refusal(expiring(-70)):match "expired")
    assert.truthy(refusal(keys:sign(payload { sub = SUBJECT, iss = ISSUER, iat = 1, exp = '"soon"' })):match "exp")
  end)

  it("is refused once it has expired, however often it was good before", function()
    local token = keys:sign(payload { sub = SUBJECT, iss = ISSUER, iat = 1, exp = os.time() - 58 })
    local claims, reason = keys:verify(token)
    assert.truthy(claims)
    local deadline = os.time() + 20
    while claims and os.time() < deadline do
      net.client.sleep(0.1)
      claims, reason = keys:verify(token)
    end
    assert.truthy(reason and reason:match "expired")
  end)

  it("is refused when it differs from one that was good, however often that was seen", function()
    local token = keys:mint()
    local other = keys:mint()
    for _ = 1, 3 do
      assert.truthy(keys:verify(token) and keys:verify(other))
      local head, signature = token:match "^(.*%.)([^.]*)$"
      assert.truthy(refusal(head .. other:match "([^.]*)$"):match "signature")
      assert.truthy(refusal(other:match "^(.*%.)" .. signature):match "signature")
    end
  end)

  it("says nothing twice", function()
    assert.truthy(refusal(keys:sign '{"sub":"a","sub":"b","iss":"c","iat":1}'):match "twice")
  end)

  it("may carry claims of any kind besides", function()
    local extra = '{"sub":"a","iss":"b","iat":1,"aud":"x","nested":{"list":[1,-2.5e+3,true,null,{"deep":[]}]},"text":"\\u20ac"}'
    assert.equal(extra, assert(keys:verify(keys:sign(extra))).payload)
  end)

  it("is refused when its payload is not one JSON object", function()
    for _, bad in ipairs {
      "", "[]", "7", "{", '{"sub":"a"', '{"sub":"a","iss":"b","iat":1}x', '{"sub":"a","iss":"b","iat":1,}', '{"a":01}',
      "{'sub':1}", '{"a":tru}', '{"a":"\\x"}', '{"a":"\n"}', '{"a" 1}', '{"a":1 "b":2}', '{"a":+1}', '{"a":.5}',
      '{"a":' .. ("["):rep(40) .. ("]"):rep(40) .. "}", '{"sub":"\255","iss":"b","iat":1}',
    } do
      refusal(keys:sign(bad))
    end
  end)

  it("signed again keeps its claims and gets the new expiry", function()
    local extra = '{"sub":"a","iss":"https://elsewhere.example","aud":["x"],"iat":7,"exp":null,"roles":["admin",{"x":1}]}'
    local claims = assert(keys:verify(keys:resign(keys:sign(extra), 60)))
    assert.equal("https://elsewhere.example", claims.issuer)
    assert.equal("a", claims.subject)
    assert.equal(7, claims.issued_at)
    assert.truthy(math.abs(claims.expires_at - os.time() - 60) <= 2)
    assert.truthy(claims.payload:match '"roles":%["admin",{"x":1}%]')
    assert.equal(1, select(2, claims.payload:gsub('"exp"', "")))
  end)
end)
