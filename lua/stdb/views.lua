--- From the number of a view to its rows: runs its function, which may only read, and leaves what it returned where
-- the host takes it. The host lets it write nothing and notes what it reads.
local use = ...
local ffi = require "ffi"
local blame, codec, context, define, lazy, misfit, out, reentry, rows, types, vm =
  use "blame", use "codec", use "context", use "define", use "lazy", use "misfit", use "out", use "reentry", use "rows",
  use "types", use "vm"

local type, error, format, getmetatable = type, error, string.format, getmetatable

local views = {}

local runners = {} -- by place; false: none was made yet

--- The module's function is over, so the line to blame is that of the declaration.
local function refuse(view, why)
  local position = define.declared.positions["view " .. view.name]
  error(format("%s:%d: view %s", position.file, position.line, why), 0)
end

--- What the function returned, as a list of rows: it may have returned a walk, as `filter` makes them.
local function collect(first, state, control)
  if type(first) ~= "function" then
    return first
  end
  local list = {}
  for row in first, state, control do
    list[#list + 1] = row
  end
  return list
end

--- function(first, state, control) -> size: writes what a view returned as an array of its rows.
local function rows_writer(view)
  local array = types.of(types.all.array(view.row.handle), "view")
  local write = codec.writer(array)
  local is_option = view.returns.kind == "option"
  return function(first, state, control)
    local list = is_option and { first } or collect(first, state, control)
    if is_option and first ~= nil and (type(first) ~= "table" or getmetatable(first) == false) then
      refuse(view, misfit.explain(view.row, first, view.name))
    end
    return write(0, list) or refuse(view, misfit.explain(array, list, view.name))
  end
end

--- function(text) -> size: a query is handed over as it is.
local function query_writer(view)
  return function(text)
    if type(text) ~= "string" then
      refuse(view, format("%s: expected the text of a query, got %s", view.name, blame.show(text)))
    end
    ffi.copy(out.room(0, #text), text, #text)
    return #text
  end
end

local function new_runner(view)
  local write = view.returns.kind == "query" and query_writer(view) or rows_writer(view)
  return function()
    reentry.reset()
    rows.forget_scans()
    local size = write(view.action(context.of_view(view.is_anonymous)))
    vm.row, vm.row_size = out.bytes.at, size
  end
end

local function make_runner(place)
  runners[place] = lazy.make(function() return new_runner(define.declared.views[place]) end)
  return runners[place]
end

--- Once all is declared.
function views.bind()
  for place in ipairs(define.declared.views) do
    runners[place] = false
  end
end

--- Runs the view at this place, from 0.
function views.dispatch(place)
  (runners[place + 1] or make_runner(place + 1))()
end

return views
