--- From the number of a reducer to its function: arguments are decoded by text written for each reducer.
local use = ...
local codec, context, define, fixed, lazy, reentry, rows, source =
  use "codec", use "context", use "define", use "fixed", use "lazy", use "reentry", use "rows", use "source"

local xpcall, failed = xpcall, use("host").failed

local calls = {}

local invokers = {} -- by place; false: none was made yet

--- The text that reads the parameters into locals a1, a2, ... from `at`.
local function read_arguments(text, params)
  local names = {}
  for place, param in ipairs(params) do
    names[place] = "a" .. place
    if param.type.size then
      text:add("local a%d = %s at = at + %d", place, fixed.read_text(text, param.type, "at"), param.type.size)
    else
      text:add("local a%d a%d, at = %s(at)", place, place, text:bind(codec.reader(param.type), "read"))
    end
  end
  return table.concat(names, ", ")
end

local function new_invoker(reducer)
  local text = source.new("call " .. reducer.name)
  local action, open = text:bind(reducer.action, "reducer"), text:bind(context.of_call, "context")
  text:add("return function() %s() %s() local at = vm.args", text:bind(reentry.reset, "reset"),
    text:bind(rows.forget_scans, "forget"))
  local arguments = read_arguments(text, reducer.params)
  -- The one tail call: so the module's function stands alone in stacks, without the name it has here.
  text:add("return %s(%s()%s) end", action, open, arguments == "" and "" or ", " .. arguments)
  return text:compile()
end

local function make_invoker(place)
  invokers[place] = lazy.make(function() return new_invoker(define.declared.reducers[place]) end)
  return invokers[place]
end

--- Once all is declared.
function calls.bind()
  rows.bind(define.declared.tables)
  for place in ipairs(define.declared.reducers) do
    invokers[place] = false
  end
end

--- Runs the reducer at this place, from 0. Without a local, whose name stacks would show for the module's function.
function calls.dispatch(place)
  (invokers[place + 1] or make_invoker(place + 1))()
end

--- The same for the host's coroutine (V4 in host/vm.h): returns what was raised, or nothing.
function calls.dispatch_caught(place)
  local ok, raised = xpcall(calls.dispatch, failed, place)
  if not ok then
    return raised
  end
end

return calls
