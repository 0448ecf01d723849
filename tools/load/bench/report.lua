--- Medians, spreads and ratios of what was measured, as text and as JSON, beside those of the last time.
--
-- A run is { case =, name =, round =, ... numbers ... }. A workload says which number counts (`measure`), and how it and
-- others are shown (`columns`); `forms` says it for single cases that are of another kind.
local json = require "cjson"

local report = {}

-- Runs that differ by more than this part of their median are called noisy.
local NOISY = 0.3

local function median(numbers)
  local sorted = { unpack(numbers) }
  table.sort(sorted)
  local middle = math.floor(#sorted / 2)
  if #sorted % 2 == 1 then return sorted[middle + 1], sorted[1], sorted[#sorted] end
  return (sorted[middle] + sorted[middle + 1]) / 2, sorted[1], sorted[#sorted]
end
report.median = median

local function pick(runs, field)
  local numbers = {}
  for _, run in ipairs(runs) do numbers[#numbers + 1] = run[field] end
  return numbers
end

--- The runs by case and name, each in the order they first came.
local function group(runs)
  local cases = {}
  for _, run in ipairs(runs) do
    local case = cases[run.case]
    if not case then
      case = { title = run.case, names = {} }
      cases[run.case], cases[#cases + 1] = case, case
    end
    if not case[run.name] then
      case[run.name] = {}
      case.names[#case.names + 1] = run.name
    end
    table.insert(case[run.name], run)
  end
  return cases
end

--- The quotient of two systems' numbers: the median over rounds, in which both ran one after the other.
local function ratio(field, runs, peer_runs)
  if not peer_runs then return nil end
  local by_round, ratios = {}, {}
  for _, run in ipairs(peer_runs) do by_round[run.round] = run[field] end
  for _, run in ipairs(runs) do
    local peer = by_round[run.round]
    if peer and peer ~= 0 then ratios[#ratios + 1] = run[field] / peer end
  end
  return #ratios > 0 and (median(ratios)) or nil
end

local function summarise(workload, case, runs)
  local summary = { ratios = {} }
  for _, column in ipairs(workload.columns) do
    local numbers = pick(runs, column.field)
    if #numbers > 0 then summary[column.field] = (median(numbers)) end
  end
  local middle, least, most = median(pick(runs, workload.measure))
  summary[workload.measure], summary.least, summary.most, summary.runs = middle, least, most, #runs
  summary.is_noisy = middle > 0 and (most - least) / middle > NOISY
  summary.client_cores = #pick(runs, "client_cores") > 0 and (median(pick(runs, "client_cores"))) or nil
  for _, peer in ipairs(workload.peers or {}) do
    summary.ratios[peer] = ratio(workload.measure, runs, case[peer])
  end
  return summary
end

local function times(number)
  return number and ("%.2fx"):format(number) or "-"
end

local function remark(summary)
  local remarks = {}
  if summary.is_noisy then remarks[#remarks + 1] = "noisy" end
  if summary.client_cores and summary.client_cores > 0.9 then
    remarks[#remarks + 1] = "the load generator is the limit"
  end
  return #remarks > 0 and "  " .. table.concat(remarks, ", ") or ""
end

local function print_head(workload, title)
  local cells = { ("\n%-24s"):format(title) }
  for _, column in ipairs(workload.columns) do
    cells[#cells + 1] = (" %10s"):format(column.title)
    if column.field == workload.measure then cells[#cells + 1] = (" %21s"):format "least..most" end
  end
  for _, peer in ipairs(workload.peers or {}) do cells[#cells + 1] = (" %13s"):format("to " .. peer) end
  print(table.concat(cells) .. ("%9s"):format "to last")
end

local function print_row(workload, name, summary, last)
  local cells = { ("%-23s"):format(name) }
  for _, column in ipairs(workload.columns) do
    local value = summary[column.field]
    cells[#cells + 1] = (" %10s"):format(value and column.format:format(value) or "-")
    if column.field == workload.measure then
      cells[#cells + 1] = (" %21s"):format(column.format:format(summary.least) .. ".." ..
        column.format:format(summary.most))
    end
  end
  for _, peer in ipairs(workload.peers or {}) do
    cells[#cells + 1] = (" %13s"):format(times(summary.ratios[peer]))
  end
  local before = last and last[workload.measure]
  print(table.concat(cells) .. ("%9s"):format(before and before ~= 0 and times(summary[workload.measure] / before) or "-") ..
    remark(summary))
end

--- Prints a workload's table; what is to be saved of it.
function report.show(workload, runs, last)
  local medians = {}
  for _, case in ipairs(group(runs)) do
    local form = workload.forms and workload.forms[case.title] or workload
    print_head(form, case.title)
    medians[case.title] = {}
    for _, name in ipairs(case.names) do
      local summary = summarise(form, case, case[name])
      medians[case.title][name] = summary
      print_row(form, name, summary, last and last.medians[case.title] and last.medians[case.title][name])
    end
  end
  return { runs = runs, medians = medians, time = os.date "!%Y-%m-%dT%H:%M:%SZ" }
end

--- What was saved the last time: { [workload] = { runs =, medians =, time = } }.
function report.load(path)
  local file = io.open(path)
  if not file then return {} end
  local ok, saved = pcall(json.decode, file:read "*a")
  file:close()
  return ok and type(saved.workloads) == "table" and saved.workloads or {}
end

function report.save(path, machine, workloads)
  local file, reason = io.open(path .. ".new", "w")
  if not file then error({ text = "the results cannot be saved: " .. reason }, 0) end
  file:write(json.encode { machine = machine, workloads = workloads }, "\n")
  file:close()
  assert(os.rename(path .. ".new", path))
end

return report
