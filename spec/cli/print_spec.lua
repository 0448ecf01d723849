--- How `stdb-lua sql` prints values: each type in the form that people know it by.
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local Color = t.enum("Color", { "Red", { "Gray", t.u8 } })
local Point = t.struct("Point", { { "x", t.i8 }, { "y", t.f64 } })

stdb.table("value", { public = true,
  { "bool", t.bool }, { "i8", t.i8 }, { "i64", t.i64 }, { "u64", t.u64 }, { "i128", t.i128 }, { "u128", t.u128 },
  { "u256", t.u256 }, { "i256", t.i256 }, { "f32", t.f32 }, { "f64", t.f64 }, { "string", t.string }, { "bytes", t.bytes },
  { "identity", t.identity }, { "connection", t.connection_id }, { "uuid", t.uuid }, { "timestamp", t.timestamp },
  { "duration", t.duration }, { "at", t.schedule_at }, { "red", Color }, { "gray", Color }, { "point", Point },
  { "some", t.option(t.u8) }, { "none", t.option(t.u8) }, { "ok", t.result(t.u8, t.string) }, { "unit", t.unit },
  { "list", t.array(t.u16) }, { "points", t.array(Point) },
})

stdb.table("letter", { public = true, { "text", t.string }, { "pages", t.u8 } })
stdb.reducer("write", { { "size", t.u32 }, { "pages", t.u8 } }, function(ctx, size, pages)
  ctx.db.letter:insert { text = ("x"):rep(size), pages = pages }
end)

stdb.reducer("fill", function(ctx)
  ctx.db.value:insert {
    bool = true, i8 = -8, i64 = -9223372036854775807LL - 1, u64 = 18446744073709551615ULL,
    i128 = stdb.i128 "-170141183460469231731687303715884105728", u128 = 10000,
    u256 = stdb.u256 "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    i256 = -100020003, f32 = 0.25, f64 = 1e300, string = 'say "hi"', bytes = "\1\255", identity = stdb.identity(("c2"):rep(32)),
    connection = stdb.connection_id(("0f"):rep(16)), uuid = stdb.uuid "12345678-9abc-4def-8123-456789abcdef",
    timestamp = stdb.timestamp(1700000000000001), duration = stdb.duration(-1500000), at = stdb.every { seconds = 2 },
    red = Color.Red, gray = Color.Gray(7), point = { x = 1, y = 2.5 }, some = 3, ok = { tag = "ok", value = 1 }, unit = {},
    list = { 1, 2 }, points = { { x = 1, y = 2 } },
  }
end)
]]

local PRINTED = {
  bool = "true", i8 = "-8", i64 = "-9223372036854775808", u64 = "18446744073709551615",
  i128 = "-170141183460469231731687303715884105728", u128 = "10000",
  u256 = "115792089237316195423570985008687907853269984665640564039457584007913129639935", i256 = "-100020003",
  f32 = "0.25", f64 = "1e+300", string = [["say \"hi\""]], bytes = "0x01ff", identity = "0x" .. ("c2"):rep(32),
  connection = "0x" .. ("0f"):rep(16), uuid = "12345678-9abc-4def-8123-456789abcdef",
  timestamp = "2023-11-14T22:13:20.000001Z", duration = "-1.500000", at = "+2.000000", red = "(Red = ())",
  gray = "(Gray = 7)", point = "(x = 1, y = 2.5)", some = "(some = 3)", none = "(none = ())", ok = "(ok = 1)", unit = "()",
  list = "[1, 2]", points = "[(x = 1, y = 2)]",
}

describe("a printed answer", function()
  it("has each value in the form of its type, below its column's name", function()
    local world = server.start { module = MODULE }
    local filled = world:call "fill"
    local _, output = program.for_server(world)("sql", "world", "SELECT * FROM value")
    local _, empty = program.for_server(world)("sql", "world", "SELECT bool, i8 FROM value WHERE i8 = 1")
    world:remove()
    assert.equal(200, filled.status, filled.body)
    local names, cells, shown = output:match "^([^\n]+)", output:match "\n([^\n]+)\n$", {}
    local values = (cells .. " |"):gmatch " (.-) +|"
    for name in (names .. " |"):gmatch " (.-) +|" do shown[name] = values() end
    assert.same(PRINTED, shown)
    assert.equal(" bool | i8\n------+----\n", empty)
  end)

  it("has a value of megabytes out of line, and does not widen the others", function()
    local world = server.start { module = MODULE }
    assert.equal(200, world:call("write", "[3000000,9]").status)
    assert.equal(200, world:call("write", "[1,1]").status)
    local _, output = program.for_server(world)("sql", "world", "SELECT * FROM letter")
    world:remove()
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(4, #lines)
    table.sort(lines, function(left, right) return #left < #right end)
    assert.truthy(#lines[3] < 200, #lines[3])
    assert.truthy(lines[4] == ' "' .. ("x"):rep(3000000) .. '" | 9')
  end)
end)
