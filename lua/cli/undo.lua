--- stdb-lua undo: takes back what some calls changed.
local json = require "cli.json"
local misuse = require "cli.misuse"
local server = require "cli.server"

-- The options that say which records are meant, in the words of the server.
local words = { "offset", "from", "to", "since", "until", "caller", "connection", "reducer" }

local function selection_of(options)
  local parts = {}
  for _, word in ipairs(words) do
    local value = options[word]
    if value then
      if value == "" or value:find "%s" then misuse("--%s is not `%s`", word, value) end
      parts[#parts + 1] = word .. " " .. value
    end
  end
  return table.concat(parts, " ")
end

local function check_selection(options)
  if not (options.offset or options.from or options.since) then
    misuse "say where to begin: --offset, --from or --since"
  end
end

local function row_text(row)
  if row == json.null then return "no row" end
  return (json.pretty(row):gsub("\n *", " "))
end

local function print_changes(changes)
  for _, change in ipairs(changes) do
    if change.from ~= json.null then print(("- %s %s"):format(change.table, row_text(change.from))) end
    if change.to ~= json.null then print(("+ %s %s"):format(change.table, row_text(change.to))) end
  end
end

local function print_conflicts(conflicts)
  for _, conflict in ipairs(conflicts) do
    local who = conflict.caller == json.null and "the database" or conflict.caller
    print(("! %s %s was changed by others: offset %s, %s, by %s, %s: now %s"):format(conflict.table, row_text(conflict.left),
      conflict.offset.number, conflict.time, who, conflict.what, row_text(conflict.now)))
  end
end

local function count_text(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

local function print_outcome(answer, refused)
  local changes, conflicts = #answer.changes, #answer.conflicts
  local event_rows = tonumber(answer.event_rows.number)
  if event_rows > 0 then print(count_text(event_rows, "event row") .. " stay told: nothing of them was stored.") end
  if refused then
    print(count_text(conflicts, "row") .. " in the way: nothing was changed. --skip-conflicts undoes the rest.")
  elseif changes == 0 then
    print "There is nothing to undo."
  elseif answer.dry_run then
    print(count_text(changes, "row") .. " would be changed. Nothing was.")
  else
    print(("%s changed by the transaction at offset %s; undo it with --offset %s."):format(count_text(changes, "row"),
      answer.offset.number, answer.offset.number))
  end
end

local function path_of(database, options)
  local parameters = {}
  if options.dry_run then parameters[#parameters + 1] = "dry_run=true" end
  if options.skip_conflicts then parameters[#parameters + 1] = "skip_conflicts=true" end
  local path = ("/v1/database/%s/undo"):format(server.escape(database))
  return #parameters > 0 and path .. "?" .. table.concat(parameters, "&") or path
end

return {
  arguments = "DATABASE",
  about = "Takes back what some records of the log changed, as one new transaction on a running database (`stdb-lua log`\n"
    .. "shows records; --offset, --from or --since says where to begin). Rows that others have changed later stop it.\n"
    .. "A stopped database has to be started first. Sequences are not taken back.",
  options = server.with_options {
    { "--offset", "OFFSET", "this record alone" },
    { "--from", "OFFSET", "this record and those after it" },
    { "--to", "OFFSET", "up to this record" },
    { "--since", "TIME", "records at this time or later (2026-11-20T08:15:30Z)" },
    { "--until", "TIME", "records at this time or before" },
    { "--caller", "HEX", "only what this identity did; its first four digits or more will do" },
    { "--connection", "HEX", "only what came through this connection; as few digits will do" },
    { "--reducer", "NAME", "only calls of this reducer" },
    { "--dry-run", false, "show what would be done" },
    { "--skip-conflicts", false, "leave rows alone that others have changed later, and undo the rest" },
  },
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    check_selection(options)
    local path = path_of(positionals[1], options)
    local status, text = server.new(host, options):request("POST", path, selection_of(options), "text/plain")
    local is_answer = text:sub(1, 1) == "{"
    if not is_answer then
      io.stderr:write(text, "\n")
      return 1
    end
    local answer = json.decode(text)
    print_changes(answer.changes)
    print_conflicts(answer.conflicts)
    print_outcome(answer, status ~= 200)
    return status == 200 and 0 or 1
  end,
}
