--- The page that C and Lua share.

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local cdef = read("src/host/abi.cdef")

describe("abi.cdef", function()
  it("names the same functions as abi.symbols, which the program exports", function()
    local declared, exported = {}, {}
    for name in cdef:gsub("/%*.-%*/", ""):gmatch("(stdb_[%w_]+)%(") do
      declared[#declared + 1] = name
    end
    for name in read("src/host/abi.symbols"):gmatch("(stdb_[%w_]+);") do
      exported[#exported + 1] = name
    end
    table.sort(declared)
    assert.same(declared, exported)
  end)

  it("passes no struct by value, which LuaJIT does not compile", function()
    for parameters in cdef:gsub("/%*.-%*/", ""):gmatch("stdb_[%w_]+(%b())") do
      for parameter in parameters:sub(2, -2):gmatch("[^,]+") do
        assert.truthy(parameter:find("*", 1, true) or parameter:find("^%s*u?int%d+_t "), parameter)
      end
    end
  end)
end)
