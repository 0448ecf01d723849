--- Tables whose values are made when they are first asked for: of all that could be compiled for a module's tables, its
-- reducers use a small part, and a reload has to be over before anybody notices.
--
-- What was made stays, in the place that was kept for it, so a trace that has looked a value up never finds another
-- one, nor the table in another shape.
local lazy = {}

--- What `make` makes. The compiler of traces is kept out of it: what is made once is not worth compiling.
function lazy.make(make)
  if not jit.status() then
    return make()
  end
  jit.off()
  local ok, made = pcall(make)
  jit.on()
  if not ok then
    error(made, 0)
  end
  return made
end

--- A table of what `makers` make, by name: functions that are called once. `otherwise(name)` answers for other names.
function lazy.members(makers, otherwise)
  local members = {}
  for name in pairs(makers) do
    members[name] = false
  end
  for name in pairs(makers) do
    members[name] = nil -- its place in the table stays
  end
  return setmetatable(members, {
    __index = function(_, name)
      local make = makers[name]
      if make == nil then
        return otherwise(name)
      end
      local made = lazy.make(make)
      members[name] = made
      return made
    end,
  })
end

return lazy
