--- The ranges through which a changed row leads to the queries it may concern.
local sql = require "spec.support.sql"

describe("the gates of a query", function()
  local world

  setup(function()
    world = sql.world { { name = "t", key = "id", columns = {
      { "id", "u8" }, { "a", "u8" }, { "b", "i8" }, { "x", "f32" }, { "word", "string" } } } }
  end)

  local function gates_of(condition)
    local gates = assert(world:compile("SELECT * FROM t WHERE " .. condition)):gates()
    table.sort(gates)
    return gates
  end

  it("are one value for an equality, one for each part of an OR, and a range for a comparison", function()
    assert.same({ "a [01, 01]" }, gates_of "a = 1")
    assert.same({ "a [01, 01]", "a [02, 02]", "b [, 03)" }, gates_of "a = 1 OR a = 2 OR b < 3")
    assert.same({ "a [05, ]" }, gates_of "a >= 5")
    assert.same({ "word (01000000" .. "61, ]" }, gates_of "word > 'a'")
  end)

  it("are those of the narrowest part of an AND: a key, a value, values, a closed range, a half one", function()
    assert.same({ "id [07, 07]" }, gates_of "a = 1 AND id = 7 AND b < 3")
    assert.same({ "a [01, 01]" }, gates_of "b < 3 AND (a = 1 OR b = 4) AND a = 1")
    assert.same({ "a [01, 01]", "a [02, 02]" }, gates_of "(a = 1 OR a = 2) AND b > 1 AND b < 9")
    assert.same({ "b (01, 09)" }, gates_of "a > 1 AND b > 1 AND b < 9")
  end)

  it("narrow each other when they are about one column", function()
    assert.same({ "a (03, 06]" }, gates_of "a > 1 AND a < 9 AND a > 3 AND a <= 6")
    assert.same({ "a [04, 04]" }, gates_of "a >= 4 AND a <= 4")
    assert.same({ "a [01, 02]", "a [07, 08)" }, gates_of "a >= 1 AND a <= 2 OR a >= 7 AND a < 8")
  end)

  it("hold both zeros of a float, or none", function()
    assert.same({ "x [00000080, 00000000]" }, gates_of "x = 0")
    assert.same({ "x (00000000, ]" }, gates_of "x > 0")
    assert.same({ "x [, 00000080)" }, gates_of "x < 0")
    assert.same({ "x [00000080, ]" }, gates_of "x >= 0")
  end)

  it("are none where any row may match", function()
    assert.same({}, gates_of "a <> 1")
    assert.same({}, gates_of "a = 1 OR a <> 3")
    assert.same({}, gates_of "a = id OR a = 1")
    assert.same({}, gates_of "TRUE")
  end)
end)
