--- Tables that a module may read and not change: an empty table in front of the real one.
--
-- The front has a locked metatable, so neither assignment nor setmetatable reaches what is behind. Strangers'
-- names are reported with the nearest right one.
local use = ...
local blame = use "blame"

local frozen = {}

local function sorted_names(members)
  local names = {}
  for name in pairs(members) do
    names[#names + 1] = type(name) == "string" and name or nil
  end
  table.sort(names)
  return names
end

local function lock(members, label, walk)
  return setmetatable({}, {
    __index = members,
    __newindex = function(_, key)
      blame.raise("%s cannot be changed (%s)", label, blame.key(key))
    end,
    __call = walk and function()
      blame.raise("%s is no function; to walk its rows write `%s`", label, walk)
    end,
    __tostring = function()
      return label
    end,
    __metatable = false,
  })
end

--- A library as Lua has them: a name that is not there is nil. `walk` is how what has rows is walked, for those who
-- write `for row in table do`.
function frozen.library(members, label, walk)
  return lock(members, label, walk)
end

--- A set of names: one that is not there is an error, "LABEL has no KIND `nmae`; did you mean `name`?".
function frozen.names(members, label, kind)
  setmetatable(members, {
    __index = function(_, key)
      blame.raise("%s has no %s %s%s", label, kind, blame.key(key), blame.hint(key, sorted_names(members)))
    end,
  })
  return lock(members, label)
end

--- The metatable of rows and other values with named fields: fields read and assign plainly, any other name is
-- an error. `names` is the list of fields. getmetatable() gives the module "stdb.LABEL", which is also how
-- rows.lua tells rows from plain tables.
function frozen.fields(label, kind, names)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
  end
  local function refuse(key)
    blame.raise("%s has no %s %s%s", label, kind, blame.key(key), blame.hint(key, names))
  end
  return {
    __index = function(_, key)
      if not known[key] then
        refuse(key)
      end
      return nil
    end,
    __newindex = function(value, key, field)
      if not known[key] then
        refuse(key)
      end
      rawset(value, key, field)
    end,
    __metatable = "stdb." .. label,
  }
end

return frozen
